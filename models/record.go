package models

// Record is a row of a platform's own table, such as tiktok_posts. It is written in the
// same transaction as the post it describes.
type Record interface {
	TableName() string
	// Upsert returns a copy of the row to insert, its unique column, and the columns to
	// update if a row with that key exists.
	Upsert() (row any, key string, updates []string)
}
