package handlers

import (
	"net"
	"net/netip"

	"github.com/labstack/echo/v4"
)

// addressBehind makes Echo's RealIP tell where a request comes from: the address of the
// connection, or, if that is a proxy of ours, what the proxies say. Anybody can write
// X-Forwarded-For, so of nobody else it is believed.
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

// siteBits are what providers give one customer at least, of IPv6.
const siteBits = 64

// siteOf is what one visitor has of the addresses: a single one of IPv4, a whole network
// of IPv6.
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
