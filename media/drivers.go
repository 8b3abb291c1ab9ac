package media

// The storage drivers of every build, by the scheme of MEDIA_BUCKET_URL. Package
// config knows which schemes a build has.
import (
	_ "gocloud.dev/blob/fileblob" // file://
	_ "gocloud.dev/blob/memblob"  // mem://
	_ "gocloud.dev/blob/s3blob"   // s3://
)
