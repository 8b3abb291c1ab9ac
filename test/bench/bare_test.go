package bench

import (
	"context"
	"database/sql"
	"encoding/json"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/labstack/echo/v4"
	"github.com/redis/go-redis/v9"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"socialqueue/models"
)

// The bare tables have the columns and indices of posts; the second one has its
// foreign keys as well.
const (
	barePosts  = "bare_posts"
	keyedPosts = "bare_posts_with_keys"
)

func makeBareTables(b *testing.B, d *sql.DB) {
	b.Helper()
	for _, statement := range []string{
		"CREATE TABLE " + barePosts + " (LIKE posts INCLUDING ALL)",
		"CREATE TABLE " + keyedPosts + " (LIKE posts INCLUDING ALL)",
		`DO $$ DECLARE c record; BEGIN
			FOR c IN SELECT pg_get_constraintdef(oid) AS def FROM pg_constraint WHERE conrelid = 'posts'::regclass AND contype = 'f' LOOP
				EXECUTE 'ALTER TABLE ` + keyedPosts + ` ADD ' || c.def;
			END LOOP; END $$`,
	} {
		_, err := d.Exec(statement)
		must(b, err)
	}
}

// bareOwner is what a real handler would have to find out and check.
type bareOwner struct {
	appID, userID int64
}

// startBare serves the least that accepts a post: bind, one INSERT, one
// Enqueue, answer. No key, no checks, no log.
func startBare(b *testing.B, databaseURL, table string, client redis.UniversalClient, owner bareOwner) (url string) {
	b.Helper()
	cfg, err := pgx.ParseConfig(databaseURL)
	must(b, err)
	conn := stdlib.OpenDB(*cfg)
	b.Cleanup(func() { _ = conn.Close() })
	conn.SetMaxOpenConns(20) // as many as the api has
	conn.SetMaxIdleConns(20)
	orm, err := gorm.Open(postgres.New(postgres.Config{Conn: conn}), &gorm.Config{Logger: logger.Discard, SkipDefaultTransaction: true})
	must(b, err)
	tasks := asynq.NewClientFromRedisClient(client)

	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.POST("/upload", func(c echo.Context) error {
		var in struct {
			AccountID    int64  `json:"account_id"`
			MediaID      string `json:"media_id"`
			Title        string `json:"title"`
			PrivacyLevel string `json:"privacy_level"`
		}
		if err := c.Bind(&in); err != nil {
			return err
		}
		options, err := json.Marshal(in)
		if err != nil {
			return err
		}
		now := models.Time(time.Now())
		p := models.Post{
			ID: models.NewID(), AppID: owner.appID, UserID: owner.userID, Platform: models.TikTok, OAuthAccountID: in.AccountID,
			Kind: models.Video, Content: models.Content{models.TikTok: options},
			Lane: models.Lane(models.TikTok, in.AccountID), PublishAt: now, CreatedAt: now, UpdatedAt: now, MediaID: &in.MediaID,
			Status: models.Queued, Step: models.StepTransfer, Admission: models.AdmissionAdmitted, RunAt: &now, EnqueuedAt: &now,
		}
		ctx := c.Request().Context()
		if err := orm.WithContext(ctx).Table(table).Create(&p).Error; err != nil {
			return err
		}
		payload, err := json.Marshal(map[string]any{"v": 1, "post_id": p.ID, "fence": 0})
		if err != nil {
			return err
		}
		if _, err := tasks.EnqueueContext(ctx, asynq.NewTask("tiktok:upload", payload), asynq.Queue("upload"), asynq.TaskID(p.ID)); err != nil {
			return err
		}
		return c.JSON(http.StatusAccepted, map[string]any{"id": p.ID, "status": p.Status, "created_at": p.CreatedAt})
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(b, err)
	server := &http.Server{Handler: e}
	go func() { _ = server.Serve(l) }()
	b.Cleanup(func() { _ = server.Shutdown(context.Background()) })
	return "http://" + l.Addr().String() + "/upload"
}
