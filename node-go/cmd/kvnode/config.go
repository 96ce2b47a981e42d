package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"kvorum/node/fsm/command"
	"kvorum/node/replica"
	"kvorum/node/server"
)

// config is the node's, checked and complete.
type config struct {
	data      string
	cluster   string
	shard     uint32
	listen    string
	advertise string
	dialFrom  net.IP
	insecure  bool
	peers     map[string]string
	logLevel  slog.Level
	debug     string
	version   bool

	heartbeat     time.Duration
	lease         time.Duration
	commit        time.Duration
	stall         time.Duration
	valueBytes    int
	inFlightBytes int64
	compactBytes  int64
	trailingBytes int64
	segmentBytes  int64
	watchBytes    int64
	processors    int
	formatMax     uint32
	formatNew     uint32
}

// maxShard keeps shard ids far from anything that could be mistaken for one.
const maxShard = 1 << 16

var clusterPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// parse reads the flags and reports every fault at once. flag.ErrHelp means that help was printed.
func parse(args []string, out io.Writer) (config, error) {
	var c config
	var shard, formatMax, formatNew uint64
	var peers, level, dialFrom string
	flags := flag.NewFlagSet("kvnode", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.StringVar(&c.data, "data", "", "data `directory`, made if absent; one node only (required)")
	flags.StringVar(&c.cluster, "cluster", "", "cluster `id`, 1-64 of A-Z a-z 0-9 . _ -; peers of another one are refused (required)")
	flags.Uint64Var(&shard, "shard", 0, "shard `number`, 0-65536; 0 is meta")
	flags.StringVar(&c.listen, "listen", "127.0.0.1:0", "`host:port` for gRPC and Raft; port 0 takes a free one")
	flags.StringVar(&c.advertise, "advertise", "", "`host:port` that peers and clients dial (default: what is listened on)")
	flags.StringVar(&dialFrom, "dial-from", "", "`IP` address that connections to peers leave from (default: as the system routes)")
	flags.BoolVar(&c.insecure, "insecure", false, "allow --listen beyond loopback without TLS")
	flags.StringVar(&peers, "peers", "", "`id=host:port,...`: where other nodes of the shard listen, beside what is known already")
	flags.StringVar(&level, "log-level", "info", "debug, info, warn or error; JSON lines on stderr")
	flags.StringVar(&c.debug, "debug-listen", "", "loopback `host:port` for pprof (default: off)")
	flags.Uint64Var(&formatMax, "format-max", command.Format, "newest command `format` to know: a node with 2 behaves as the version before 3 did (tests, a careful upgrade)")
	flags.Uint64Var(&formatNew, "format-new", command.Format, "command `format` that a new shard begins with, as far as its members know it: an older one keeps the way back to an older program open")
	flags.BoolVar(&c.version, "version", false, "print the version and exit")
	c.tunables(flags)
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	faults := c.check(shard, flags.Args())
	if absolute, err := filepath.Abs(c.data); err == nil && c.data != "" {
		// Status shows it, whatever the process was started in.
		c.data = absolute
	}
	c.shard, c.formatMax, c.formatNew = uint32(shard), uint32(min(formatMax, math.MaxUint32)), uint32(min(formatNew, math.MaxUint32))
	for name, format := range map[string]uint64{"max": formatMax, "new": formatNew} {
		if format < 1 || format > command.Format {
			faults = append(faults, fmt.Errorf("--format-%s %d: 1-%d", name, format, command.Format))
		}
	}
	if c.dialFrom = net.ParseIP(dialFrom); dialFrom != "" && c.dialFrom == nil {
		faults = append(faults, fmt.Errorf("--dial-from %q: an IP address is required", dialFrom))
	}
	if err := c.logLevel.UnmarshalText([]byte(level)); err != nil {
		faults = append(faults, fmt.Errorf("--log-level %q: must be debug, info, warn or error", level))
	}
	var err error
	if c.peers, err = parsePeers(peers); err != nil {
		faults = append(faults, err)
	}
	return c, errors.Join(faults...)
}

// tunables have defaults that were measured or argued for (see replica/raft.go for the time-outs).
func (c *config) tunables(flags *flag.FlagSet) {
	limits, timing := server.DefaultLimits(), replica.DefaultTiming()
	flags.DurationVar(&c.heartbeat, "heartbeat-timeout", timing.Heartbeat, "silence of the leader after which a follower campaigns, 50ms-60s")
	flags.DurationVar(&c.lease, "lease-timeout", timing.Lease, "silence of a majority after which a leader gives up, at most --heartbeat-timeout")
	flags.DurationVar(&c.commit, "commit-timeout", timing.Commit, "how soon an idle leader tells followers what is committed, 1ms-10s")
	flags.DurationVar(&c.stall, "stall-timeout", 2*time.Second, "fsync time after which the disk counts as stalled and the node exits, 100ms-5m")
	flags.IntVar(&c.valueBytes, "value-max-bytes", limits.MaxValueBytes, "largest value, 1-8388608 bytes")
	flags.Int64Var(&c.inFlightBytes, "inflight-max-bytes", 64<<20, "bytes of requests and answers held at once, past it OVERLOADED; at least 16 MiB")
	flags.Int64Var(&c.compactBytes, "compact-bytes", 64<<20, "bytes of Raft log after which it is compacted, at least 1 MiB")
	flags.Int64Var(&c.trailingBytes, "trailing-bytes", 16<<20, "bytes of Raft log kept for slow followers, 1 up to --compact-bytes")
	flags.Int64Var(&c.segmentBytes, "segment-bytes", 64<<20, "size of an engine data file, 1 MiB-1 GiB")
	flags.Int64Var(&c.watchBytes, "watch-bytes", 16<<20, "bytes of newest changes kept for watchers, 64 KiB-1 GiB")
	flags.IntVar(&c.processors, "processors", 0, "processors to use at once, 0-1024; 0: all, or as GOMAXPROCS says")
}

func (c *config) check(shard uint64, rest []string) []error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	fault(len(rest) > 0, "unknown argument %q", rest)
	fault(c.data == "", "--data is required")
	fault(!clusterPattern.MatchString(c.cluster), "--cluster %q: 1-64 of A-Z a-z 0-9 . _ - are required", c.cluster)
	fault(shard > maxShard, "--shard %d: at most %d", shard, maxShard)
	if err := c.checkListen(); err != nil {
		faults = append(faults, err)
	}
	fault(c.debug != "" && !isLoopback(c.debug), "--debug-listen %q: only loopback", c.debug)
	fault(c.heartbeat < 50*time.Millisecond || c.heartbeat > time.Minute, "--heartbeat-timeout %s: 50ms-60s", c.heartbeat)
	fault(c.lease < 20*time.Millisecond || c.lease > c.heartbeat, "--lease-timeout %s: 20ms up to --heartbeat-timeout", c.lease)
	fault(c.commit < time.Millisecond || c.commit > 10*time.Second, "--commit-timeout %s: 1ms-10s", c.commit)
	fault(c.stall < 100*time.Millisecond || c.stall > 5*time.Minute, "--stall-timeout %s: 100ms-5m", c.stall)
	fault(c.valueBytes < 1 || c.valueBytes > server.HardMaxValueBytes, "--value-max-bytes %d: 1-%d", c.valueBytes, server.HardMaxValueBytes)
	fault(c.processors < 0 || c.processors > 1024, "--processors %d: 0-1024", c.processors)
	fault(c.inFlightBytes < 16<<20, "--inflight-max-bytes %d: at least 16 MiB", c.inFlightBytes)
	fault(c.compactBytes < 1<<20, "--compact-bytes %d: at least 1 MiB", c.compactBytes)
	fault(c.trailingBytes < 1 || c.trailingBytes > c.compactBytes, "--trailing-bytes %d: 1 up to --compact-bytes", c.trailingBytes)
	fault(c.segmentBytes < 1<<20 || c.segmentBytes > 1<<30, "--segment-bytes %d: 1 MiB-1 GiB", c.segmentBytes)
	fault(c.watchBytes < 64<<10 || c.watchBytes > 1<<30, "--watch-bytes %d: 64 KiB-1 GiB", c.watchBytes)
	return faults
}

func (c *config) checkListen() error {
	host, _, err := net.SplitHostPort(c.listen)
	if err != nil {
		return fmt.Errorf("--listen %q: host:port is required", c.listen)
	}
	if !isLoopback(c.listen) && !c.insecure {
		return fmt.Errorf("--listen %q: beyond loopback needs --insecure, because nodes have no TLS yet", c.listen)
	}
	if ip := net.ParseIP(host); (host == "" || ip != nil && ip.IsUnspecified()) && c.advertise == "" {
		return fmt.Errorf("--listen %q: listening on every address needs --advertise", c.listen)
	}
	if c.advertise == "" {
		return nil
	}
	if _, port, err := net.SplitHostPort(c.advertise); err != nil || port == "" || port == "0" {
		return fmt.Errorf("--advertise %q: host:port is required", c.advertise)
	}
	return nil
}

func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func parsePeers(list string) (map[string]string, error) {
	peers := make(map[string]string)
	if list == "" {
		return peers, nil
	}
	for item := range strings.SplitSeq(list, ",") {
		id, address, ok := strings.Cut(item, "=")
		if _, _, err := net.SplitHostPort(address); !ok || id == "" || err != nil {
			return nil, fmt.Errorf("--peers %q: id=host:port is required", item)
		}
		peers[id] = address
	}
	return peers, nil
}
