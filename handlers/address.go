package handlers

import (
	"net"
	"net/netip"

	"github.com/labstack/echo/v4"
)

// addressBehind makes Echo's RealIP return the client's address: that of the connection or,
// if the connection comes from one of our proxies, the one in X-Forwarded-For. The header
// is ignored from anyone else, because any client can write it.
func addressBehind(proxies []netip.Prefix) echo.IPExtractor {
	if len(proxies) == 0 {
		return echo.ExtractIPDirect()
	}
	trusted := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, p := range proxies {
		trusted = append(trusted, echo.TrustIPRange(&net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}))
	}
	return echo.ExtractIPFromXFFHeader(trusted...)
}

// siteBits is the size of the IPv6 network that providers assign to one customer at least.
const siteBits = 64

// siteOf returns the addresses that one client controls: a single IPv4 address or an IPv6
// network.
func siteOf(address string) string {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if addr = addr.Unmap(); addr.Is4() {
		return addr.String()
	}
	return netip.PrefixFrom(addr, siteBits).Masked().String()
}
