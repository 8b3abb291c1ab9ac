package instagram

import (
	"strconv"
	"strings"

	"socialqueue/platform"
)

// remedies says what to do about each refusal of Meta, by "code/subcode", subcode or code, and
// about the types of rupload. The limits are those of the references IG User Media and Error
// Codes (2026-03 and 2026-06-02) and of Handling Errors; the other codes were seen in the
// field (2026).
var remedies = map[string]platform.Remedy{
	// tokens and permissions
	"190":                   {Text: "The Facebook login no longer works. Connect the account again."},
	"190/458":               {Text: "The person removed the app at Facebook. Connect the account again."},
	"190/459":               {Text: "Facebook wants to check the person. They have to log in at facebook.com and follow what it says, then connect the account again."},
	"190/460":               {Text: "The password at Facebook was changed. Connect the account again."},
	"190/463":               {Text: "The Facebook login has expired. Connect the account again."},
	"190/464":               {Text: "The Facebook user is not confirmed. They have to log in at facebook.com and confirm their account, then connect the account again."},
	"190/467":               {Text: "The Facebook login was ended. Connect the account again."},
	"190/492":               {Text: "The person lost their role on the Page. Its owner has to give it back; then connect the account again."},
	"190/493":               {Text: "The person did not use the app for 90 days. Connect the account again."},
	"102":                   {Text: "The Facebook session has ended. Connect the account again."},
	"10":                    missingPermission,
	"200":                   missingPermission, // and 201 to 299
	"3":                     {Text: "The app may not make this call. The operator has to request the permission in Meta's App Dashboard (App Review, Advanced Access)."},
	"230":                   {Text: "A person has not consented to being read. Nothing to do."},
	"100/33":                {Text: "Meta does not show the object: it is gone, the login may not see it, or Meta's reads fail. Look at the account in the Instagram app before you post again."},
	"100":                   {Text: "Instagram does not accept a field of the post. The message names it; correct it and send a new post."},
	"101":                   {Text: "FACEBOOK_APP_ID or FACEBOOK_APP_SECRET is wrong. The operator has to correct it."},
	"100/36007":             {Text: "The sign-in took too long. Connect the account again."},
	"100/36008":             {Text: "The redirect URI is not the one of the login. The operator has to check PUBLIC_URL and the redirect URI in Meta's App Dashboard."},
	"100/36009":             {Text: "The sign-in was used before. If the account is not connected, connect it again."},
	"2500":                  {Text: "Meta does not know the address of the call. The operator has to check GRAPH_API_VERSION."},
	"1":                     internalAtMeta,
	"2":                     internalAtMeta,
	"-1":                    internalAtMeta,
	"2207001":               internalAtMeta,
	"4":                     {Text: "The app, not this account, made too many calls. Nothing to do: the post is tried again when Meta allows it."},
	"17":                    tooManyCalls,
	"32":                    tooManyCalls,
	"341":                   {Text: "The app, not this account, reached a limit of Meta. Nothing to do: the post is tried again when Meta allows it."},
	"613":                   tooManyCalls,
	"80001":                 tooManyCalls,
	"80002":                 tooManyCalls,
	"368":                   {Text: "Instagram has blocked the account for some hours because of its rules. Its owner should look for a notice in the Instagram app; the post is tried again later."},
	"2207051":               {Text: "Instagram restricts the account because its activity looks like spam. Its owner should look for a notice in the Instagram app and post less; the post is checked, and tried again only if it is not live."},
	"25":                    restrictedAccount,
	"2207050":               restrictedAccount,
	"9":                     dailyQuota,
	"2207042":               dailyQuota,
	"506":                   {Text: "Instagram has a post like this already. Change the caption or the file if it is wanted a second time."},
	"9009":                  {Text: "The Instagram account is not available. Its owner has to log in to the Instagram app and follow what it says."},
	"110":                   wrongTag,
	"2207018":               wrongTag,
	"2207040":               {Text: "The caption or the picture names too many people: at most 20. Remove some."},
	"2207035":               wrongProduct,
	"2207036":               wrongProduct,
	"2207037":               wrongProduct,
	"2207081":               {Text: "This account may not make trial reels. Post it as an ordinary reel."},
	"2207086":               {Text: "Instagram does not give one of the numbers for this kind of post. Nothing to do."},
	"2108006":               {Text: "The post is older than the professional account, so Instagram has no numbers of it. Nothing to do."},
	"36000":                 imageTooLarge,
	"2207004":               imageTooLarge,
	"36001":                 imageFormat,
	"2207005":               imageFormat,
	"36002":                 imageFormat,
	"36003":                 aspectRatio,
	"2207009":               aspectRatio,
	"36004":                 captionTooLong,
	"2207010":               captionTooLong,
	"352":                   videoFormat,
	"2207026":               videoFormat,
	"2207076":               videoUnprocessed,
	"2207053":               videoUnprocessed,
	"2207082":               videoUnprocessed,
	"2207085":               videoUnprocessed,
	"2207057":               {Text: "thumb_offset lies outside the video. Choose a time within it, in milliseconds.", AboutFile: true},
	"2207023":               {Text: "Instagram does not know this media_type. Use IMAGE, REELS, STORIES or CAROUSEL."},
	"2207067":               {Text: "Instagram has no media_type VIDEO any more. Use REELS."},
	"2207024":               videoUnprocessed,
	"2207028":               {Text: "A carousel has 2 to 10 files. Change their number."},
	"9004":                  notFetched,
	"2207052":               notFetched,
	"-2":                    notFetched,
	"2207003":               {Text: "Instagram needed too long to fetch the file from PUBLIC_URL. Nothing to do at first: it is tried again. If it fails often, the operator has to check that PUBLIC_URL is fast from outside."},
	"2207077":               notFetched,
	"2207020":               beganAgain,
	"2207032":               beganAgain,
	"24":                    beganAgain,
	"2207006":               beganAgain,
	"2207008":               beganAgain,
	"9007":                  {Text: "Instagram still works on the file. Nothing to do: the call is repeated."},
	"2207027":               {Text: "Instagram still works on the file. Nothing to do: the call is repeated."},
	"ProcessingFailedError": videoUnprocessed,
	"NotAuthorizedError":    {Text: "Instagram does not accept the token for the upload. It is read again; if that fails, connect the account again."},
}

var (
	missingPermission = platform.Remedy{Text: "The login lacks a permission that this needs. Connect the account again and leave all permissions ticked. If it works for people of the app only, the app needs Advanced Access in Meta's App Dashboard."}
	internalAtMeta    = platform.Remedy{Text: "An error inside Meta. Nothing to do: the post is checked or tried again by itself."}
	tooManyCalls      = platform.Remedy{Text: "Too many calls for this account. Nothing to do: the post is tried again when Meta allows it."}
	restrictedAccount = platform.Remedy{Text: "Instagram restricts this account. Its owner has to log in to the Instagram app and settle that; then retry the post."}
	dailyQuota        = platform.Remedy{Text: "The account has used up its posts of 24 hours. Nothing to do: the post is tried again every hour."}
	wrongTag          = platform.Remedy{Text: "Instagram cannot name one of the people in collaborators or user_tags: the name is wrong, the account is private, or it takes no invitations. Correct it and send a new post."}
	wrongProduct      = platform.Remedy{Text: "Instagram does not accept a product tag. Check the product and its place in the picture."}
	imageTooLarge     = platform.Remedy{Text: "Instagram takes pictures of at most 8 MiB. Make the file smaller and send a new post.", AboutFile: true}
	imageFormat       = platform.Remedy{Text: "Instagram takes JPEG pictures only. Convert the file and send a new post.", AboutFile: true}
	aspectRatio       = platform.Remedy{Text: "Instagram takes pictures from 4:5 to 1.91:1. Crop the file and send a new post.", AboutFile: true}
	captionTooLong    = platform.Remedy{Text: "A caption has at most 2200 characters, 30 hashtags and 20 mentions. Shorten it and send a new post."}
	videoFormat       = platform.Remedy{Text: "Instagram takes MP4 and MOV with H.264 or HEVC, 23 to 60 frames per second, at most 1920 pixels wide, 300 MB and 3 seconds to 15 minutes. Convert the file and send a new post.", AboutFile: true}
	videoUnprocessed  = platform.Remedy{Text: "Instagram could not process the file. It is sent again a few times, as this often passes. If it does not, convert a video to MP4 with H.264 and AAC, 23 to 60 frames per second and at most 1920 pixels wide.", AboutFile: true}
	notFetched        = platform.Remedy{Text: "Instagram fetches the file from PUBLIC_URL and could not. It is tried again. If it fails often, the operator has to check that PUBLIC_URL is reachable from outside by https, and that no robots.txt forbids /media/."}
	beganAgain        = platform.Remedy{Text: "Instagram no longer has what was prepared for the post. Nothing to do: the post is prepared again by itself."}
)

// remedyFor returns what to do about an error by its name, "code/subcode" or either alone.
func remedyFor(name string) platform.Remedy {
	code, subcode, _ := strings.Cut(name, "/")
	keys := []string{name, subcode, code}
	if len(subcode) < len("2207001") { // has no meaning without its code
		keys = []string{name, code}
	}
	for _, key := range keys {
		if r, ok := remedies[key]; ok {
			return r
		}
	}
	if n, err := strconv.Atoi(code); err == nil && n >= 200 && n <= 299 {
		return missingPermission
	}
	return platform.Remedy{}
}

// remedy returns what to do about an error. Those that only their message distinguishes mean
// something else than their code.
func (e graphError) remedy() platform.Remedy {
	if w, ok := e.wordedAdvice(); ok {
		return w.remedy
	}
	return remedyFor(e.name())
}
