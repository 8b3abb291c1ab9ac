package models

// Record is a row of a platform's own table, such as tiktok_posts, that is written in the
// same transaction as the post it describes.
type Record interface {
	TableName() string
	// Upsert returns a copy of the row to insert, its unique column, and the columns
	// that the row takes over where one with that key exists.
	Upsert() (row any, key string, updates []string)
}
