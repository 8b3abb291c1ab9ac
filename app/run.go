package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"

	"socialqueue/config"
	"socialqueue/jobs"
	"socialqueue/observe"
)

// stopGrace is the extra time of Stop after SHUTDOWN_DELAY and SHUTDOWN_TIMEOUT, for
// closing what the jobs used.
const stopGrace = 5 * time.Second

// Process is a program that can be started and stopped.
type Process interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	// Addr returns the address on which the process listens, after Start.
	Addr() string
}

// Run starts a process and stops it on SIGTERM, SIGINT or the end of ctx. It returns when
// everything has stopped, at most stopGrace after the shutdown time.
func Run(ctx context.Context, p Process, shutdown time.Duration, log logrus.FieldLogger) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	startErr := p.Start(ctx)
	if startErr == nil {
		log.WithField("addr", p.Addr()).Info("started")
		<-ctx.Done()
		log.Info("stopping")
	} else {
		startErr = fmt.Errorf("start: %w", startErr)
	}
	stop() // a second signal kills the process
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdown+stopGrace)
	defer cancel()
	return errors.Join(startErr, p.Stop(ctx))
}

// connectTimeout limits how long a starting process tries to reach its servers.
const connectTimeout = 30 * time.Second

// Main is the main function of a process: it reads the settings, sets up logs, builds and
// runs the process, and returns the exit code.
func Main(role config.Role, name string, build func(context.Context, config.Config, Options) (Process, error)) int {
	cfg, err := config.Load(role, os.Getenv)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: invalid settings:\n%v\n", name, err)
		return exitUsage
	}
	log := observe.NewLogger(name, cfg.LogLevel, cfg.LogFormat, os.Stderr)
	jobs.LogRedis(log)
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	stopTracing, err := observe.StartTracing(ctx, name, log)
	if err != nil {
		log.WithError(err).Error("cannot start")
		return exitFailure
	}
	defer stopTracing()
	p, err := build(ctx, cfg, Options{Log: log})
	if err != nil {
		log.WithError(err).Error("cannot start")
		return exitFailure
	}
	if err := Run(context.Background(), p, cfg.ShutdownDelay+cfg.ShutdownTimeout, log); err != nil {
		log.WithError(err).Error("ended with an error")
		return exitFailure
	}
	log.Info("stopped")
	return 0
}

// The exit codes of processes.
const (
	exitFailure = 1
	exitUsage   = 2
)
