// Package instagram is the simulated Instagram of the sandbox: the Graph API for publishing with Facebook Login, the
// login dialog and Pages of Facebook, the upload host and the webhooks. It is written from Meta's public pages and from
// real answers that others published, and takes the strict reading wherever they leave a choice. Comments name the
// page; package platform/instagram lists the addresses.
//
//	/facebook/v25.0/dialog/oauth                 www.facebook.com, the login dialog
//	/graph/v25.0/...                             graph.facebook.com
//	/rupload/ig-api-upload/v25.0/{container}     rupload.facebook.com
package instagram
