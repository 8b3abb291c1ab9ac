package config

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/joho/godotenv"
)

// LoadDotEnv adds the settings of the file .env in dir to the environment of this process,
// unless they are set already. A missing file is no error. Only commands for development
// call it; a server reads its real environment.
func LoadDotEnv(dir string) error {
	path := filepath.Join(dir, ".env")
	err := godotenv.Load(path)
	switch {
	case err == nil || errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.As(err, new(*fs.PathError)):
		return fmt.Errorf("read settings: %w", err)
	default: // the parser's message quotes the file, secrets included
		return fmt.Errorf("read settings: %s is malformed: write one NAME=value a line", path)
	}
}
