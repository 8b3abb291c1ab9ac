// Package tiktok is the simulated TikTok of the sandbox: Login Kit, the Content Posting API, its upload host and its
// webhooks. It is written from TikTok's public pages and from real answers that others published, and takes the strict
// reading wherever they leave a choice. Comments name the page; package platform/tiktok lists the addresses.
//
//	/tiktok/v2/...                           open.tiktokapis.com
//	/tiktok-auth/v2/auth/authorize/          www.tiktok.com, the consent page
//	/tiktok-upload/upload?upload_id=...      the upload host
package tiktok
