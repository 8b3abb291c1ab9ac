package instagram

import (
	"context"

	"socialqueue/platform"
	"socialqueue/secrets"
)

// methods are all calls of the client.
var methods = map[string]struct {
	op   string
	lost platform.Kind
	call func(ctx context.Context, c *Client) error
}{
	"CreateImage": {opCreate, platform.Unknown, func(ctx context.Context, c *Client) error {
		_, err := c.CreateImage(ctx, testToken, igID, Image{URL: signedLink})
		return err
	}},
	"CreateReel": {opCreate, platform.Unknown, func(ctx context.Context, c *Client) error {
		_, err := c.CreateReel(ctx, testToken, igID, Reel{CoverURL: signedLink})
		return err
	}},
	"UploadVideo": {opUpload, platform.Unknown, func(ctx context.Context, c *Client) error {
		return c.UploadVideo(ctx, testToken, "17889", 0, 5, opener("hello"))
	}},
	"CreateStory": {opCreate, platform.Unknown, func(ctx context.Context, c *Client) error {
		_, err := c.CreateStory(ctx, testToken, igID, Story{ImageURL: signedLink})
		return err
	}},
	"CreateChild": {opCreate, platform.Unknown, func(ctx context.Context, c *Client) error {
		_, err := c.CreateChild(ctx, testToken, igID, Child{ImageURL: signedLink})
		return err
	}},
	"CreateCarousel": {opCreate, platform.Unknown, func(ctx context.Context, c *Client) error {
		_, err := c.CreateCarousel(ctx, testToken, igID, Carousel{Children: []string{"1", "2"}})
		return err
	}},
	"CreateComment": {opComment, platform.Unknown, func(ctx context.Context, c *Client) error {
		_, err := c.CreateComment(ctx, testToken, "17920", "hi")
		return err
	}},
	"Comments": {opComments, platform.Transient, func(ctx context.Context, c *Client) error {
		_, _, err := c.Comments(ctx, testToken, "17920", "")
		return err
	}},
	"Stories": {opStories, platform.Transient, func(ctx context.Context, c *Client) error {
		_, err := c.Stories(ctx, testToken, igID, 10)
		return err
	}},
	"ContainerStatus": {opContainerStatus, platform.Transient, func(ctx context.Context, c *Client) error {
		_, err := c.ContainerStatus(ctx, testToken, "17889")
		return err
	}},
	"Publish": {opPublish, platform.Unknown, func(ctx context.Context, c *Client) error {
		_, err := c.Publish(ctx, testToken, igID, "17889")
		return err
	}},
	"Quota": {opQuota, platform.Transient, func(ctx context.Context, c *Client) error {
		_, err := c.Quota(ctx, testToken, igID)
		return err
	}},
	"Media": {opMedia, platform.Transient, func(ctx context.Context, c *Client) error {
		_, err := c.Media(ctx, testToken, "17920")
		return err
	}},
	"RecentMedia": {opRecentMedia, platform.Transient, func(ctx context.Context, c *Client) error {
		_, err := c.RecentMedia(ctx, testToken, igID, 10)
		return err
	}},
	"ExchangeCode": {opExchangeCode, platform.Unknown, func(ctx context.Context, c *Client) error {
		_, err := c.ExchangeCode(ctx, testCode, testRedirect)
		return err
	}},
	"ProlongToken": {opExchangeToken, platform.Transient, func(ctx context.Context, c *Client) error {
		_, err := c.ProlongToken(ctx, testToken)
		return err
	}},
	"Permissions": {opPermissions, platform.Transient, func(ctx context.Context, c *Client) error {
		_, _, err := c.Permissions(ctx, testToken)
		return err
	}},
	"InspectToken": {opDebugToken, platform.Transient, func(ctx context.Context, c *Client) error {
		_, err := c.InspectToken(ctx, testToken)
		return err
	}},
	"Me": {opMe, platform.Transient, func(ctx context.Context, c *Client) error {
		_, _, err := c.Me(ctx, testToken)
		return err
	}},
	"Pages": {opPages, platform.Transient, func(ctx context.Context, c *Client) error {
		_, err := c.Pages(ctx, testToken)
		return err
	}},
	"BusinessPages": {opBusinesses, platform.Transient, func(ctx context.Context, c *Client) error {
		_, err := c.BusinessPages(ctx, testToken)
		return err
	}},
	"PageToken": {opPage, platform.Transient, func(ctx context.Context, c *Client) error {
		_, err := c.PageToken(ctx, testToken, "1029384756")
		return err
	}},
	"Subscribe": {opSubscribe, platform.Transient, func(ctx context.Context, c *Client) error {
		return c.Subscribe(ctx, testToken, "1029384756")
	}},
	"RevokeAll": {opRevoke, platform.Transient, func(ctx context.Context, c *Client) error {
		return c.RevokeAll(ctx, testToken, "9001")
	}},
}

// bearers are the tokens of the calls that do not carry the one they are given.
var bearers = map[string]secrets.Secret{"ExchangeCode": "", "ProlongToken": "", "InspectToken": appToken}
