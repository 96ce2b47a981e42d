// Package telemetry joins the logs of libraries to the node's own: structured, through log/slog.
package telemetry

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"strings"

	"github.com/hashicorp/go-hclog"

	"kvorum/node/clock"
)

// HCLog is an hclog.Logger that writes to log. hashicorp/raft and raft-wal take nothing else. Warnings and errors that
// only repeat themselves are left out for a while. Those that only tell of connections that an orderly end closes are
// for debugging once it has begun; ending may be nil.
func HCLog(logger *slog.Logger, name string, c clock.Clock, ending *Ending) hclog.Logger {
	return &adaptor{log: logger.With("component", name), base: logger, name: name, repeats: newRepeats(c), ending: ending}
}

type adaptor struct {
	log  *slog.Logger
	base *slog.Logger
	name string
	args []any
	// repeats and ending are shared with all loggers made from this one.
	repeats *repeats
	ending  *Ending
}

var _ hclog.Logger = (*adaptor)(nil)

func (a *adaptor) Log(level hclog.Level, message string, args ...any) {
	to := levelOf(level)
	if to >= slog.LevelWarn && a.ending.takes(message, args) {
		to = slog.LevelDebug
	}
	if !a.log.Enabled(context.Background(), to) {
		return
	}
	line := plain(args)
	if to >= slog.LevelWarn {
		quiet, leftOut := a.repeats.quiet(message, args)
		if quiet {
			return
		}
		if leftOut > 0 {
			line = append(line, "left_out", leftOut)
		}
	}
	a.log.Log(context.Background(), to, message, line...)
}

func (a *adaptor) Trace(message string, args ...any) { a.Log(hclog.Trace, message, args...) }
func (a *adaptor) Debug(message string, args ...any) { a.Log(hclog.Debug, message, args...) }
func (a *adaptor) Info(message string, args ...any)  { a.Log(hclog.Info, message, args...) }
func (a *adaptor) Warn(message string, args ...any)  { a.Log(hclog.Warn, message, args...) }
func (a *adaptor) Error(message string, args ...any) { a.Log(hclog.Error, message, args...) }

func (a *adaptor) IsTrace() bool { return false }
func (a *adaptor) IsDebug() bool { return a.enabled(slog.LevelDebug) }
func (a *adaptor) IsInfo() bool  { return a.enabled(slog.LevelInfo) }
func (a *adaptor) IsWarn() bool  { return a.enabled(slog.LevelWarn) }
func (a *adaptor) IsError() bool { return a.enabled(slog.LevelError) }

func (a *adaptor) ImpliedArgs() []any { return a.args }
func (a *adaptor) Name() string       { return a.name }

func (a *adaptor) With(args ...any) hclog.Logger {
	return &adaptor{
		log: a.log.With(plain(args)...), base: a.base, name: a.name, repeats: a.repeats, ending: a.ending,
		args: append(append([]any{}, a.args...), args...),
	}
}

func (a *adaptor) Named(name string) hclog.Logger {
	if a.name != "" {
		name = a.name + "." + name
	}
	return a.ResetNamed(name)
}

func (a *adaptor) ResetNamed(name string) hclog.Logger {
	return &adaptor{
		log: a.base.With("component", name).With(plain(a.args)...), base: a.base, name: name, args: a.args,
		repeats: a.repeats, ending: a.ending,
	}
}

// SetLevel does nothing: the level is the node's.
func (a *adaptor) SetLevel(hclog.Level) {}

func (a *adaptor) GetLevel() hclog.Level {
	switch {
	case a.IsDebug():
		return hclog.Debug
	case a.IsInfo():
		return hclog.Info
	case a.IsWarn():
		return hclog.Warn
	default:
		return hclog.Error
	}
}

func (a *adaptor) StandardLogger(options *hclog.StandardLoggerOptions) *log.Logger {
	return log.New(a.StandardWriter(options), "", 0)
}

// StandardWriter logs each write as one line.
func (a *adaptor) StandardWriter(*hclog.StandardLoggerOptions) io.Writer {
	return lineWriter{a}
}

func (a *adaptor) enabled(level slog.Level) bool {
	return a.log.Enabled(context.Background(), level)
}

type lineWriter struct{ to *adaptor }

func (w lineWriter) Write(line []byte) (int, error) {
	w.to.Info(strings.TrimSuffix(string(line), "\n"))
	return len(line), nil
}

func levelOf(level hclog.Level) slog.Level {
	switch level {
	case hclog.Error:
		return slog.LevelError
	case hclog.Warn:
		return slog.LevelWarn
	case hclog.Info, hclog.NoLevel:
		return slog.LevelInfo
	default:
		return slog.LevelDebug
	}
}

// plain turns hclog's lazily formatted values, and values that only print, into what slog can write.
func plain(args []any) []any {
	out := make([]any, len(args))
	for i, arg := range args {
		switch value := arg.(type) {
		case hclog.Format:
			out[i] = fmt.Sprintf(value[0].(string), value[1:]...)
		case error:
			out[i] = value.Error()
		case fmt.Stringer:
			out[i] = value.String()
		default:
			out[i] = arg
		}
	}
	return out
}
