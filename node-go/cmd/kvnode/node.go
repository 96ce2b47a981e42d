package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"kvorum/node/clock"
	nodev1 "kvorum/node/gen/node/v1"
	"kvorum/node/move"
	"kvorum/node/replica"
	"kvorum/node/server"
	"kvorum/node/transport"
	"kvorum/node/vfs"
	"kvorum/node/watch"
)

// surroundings are what the process gives to the node.
type surroundings struct {
	fs    vfs.FS
	clock clock.Clock
	log   *slog.Logger
	// fatal ends the process. It does not return.
	fatal func(error)
}

// node is the process: it serves from the moment it listens, while its replica is opened, seeded, at work and stopped.
type node struct {
	config   config
	around   surroundings
	identity identity
	address  string
	changed  *replica.Signal
	lock     io.Closer
	mux      *transport.Mux
	book     *transport.Book
	server   *server.Server
	asker    *server.IndexAsker
	importer *move.Importer
	changes  *watch.Hub
	debug    *http.Server

	// stopOpening ends the wait for a peer that could seed this node.
	stopOpening context.CancelFunc
	// opened closes when the replica is open, or when opening was given up because the node stops.
	opened chan struct{}
	// serving counts the goroutines that serve.
	serving sync.WaitGroup

	mu      sync.Mutex
	state   nodev1.State
	replica *replica.Replica
	// saveError is why the book could not be saved last.
	saveError error
}

var _ server.Node = (*node)(nil)

// start returns when the node serves gRPC. Its replica opens meanwhile: a data directory with many keys takes a second,
// one whose engine is damaged as long as it takes to find a peer.
func start(c config, around surroundings) (*node, error) {
	n := &node{
		config: c, around: around, changed: replica.NewSignal(),
		state: nodev1.State_STATE_STARTING, opened: make(chan struct{}),
	}
	err := n.openDirectory()
	if err == nil {
		err = n.listen()
	}
	if err != nil {
		n.closeOutside()
		return nil, err
	}
	n.serve()
	n.asker = server.NewIndexAsker(transport.Dialer(c.dialFrom), c.cluster, c.shard)
	ctx, cancel := context.WithCancel(context.Background())
	n.stopOpening = cancel
	go n.openReplica(ctx)
	return n, nil
}

// openDirectory locks the data directory and reads who this node is.
func (n *node) openDirectory() error {
	fsys, dir := n.around.fs, n.config.data
	var err error
	if n.lock, err = lockDirectory(fsys, dir); err != nil {
		return err
	}
	if n.identity, err = openIdentity(fsys, dir, n.config.cluster, n.config.shard); err != nil {
		return err
	}
	peers, err := readPeers(fsys, dir)
	if err != nil {
		return err
	}
	n.book = transport.NewBook(peers, n.saveBook)
	for id, address := range n.config.peers {
		n.book.Set(id, address)
	}
	return n.bookSaved()
}

func (n *node) listen() error {
	var err error
	n.mux, err = transport.Listen(n.config.listen, transport.MuxOptions{Clock: n.around.clock, Log: n.around.log})
	if err != nil {
		return faultf(exitAddress, "listen on %s: %w", n.config.listen, err)
	}
	n.address = n.config.advertise
	if n.address == "" {
		n.address = n.mux.Addr().String()
	}
	return n.listenDebug()
}

func (n *node) serve() {
	n.changes = watch.NewHub(int(n.config.watchBytes), n.around.clock)
	n.importer = &move.Importer{
		Clock: n.around.clock, Log: n.around.log,
		Connect: server.Givers(n.around.clock, transport.Dialer(n.config.dialFrom), n.config.cluster),
	}
	limits := server.DefaultLimits()
	limits.MaxValueBytes = n.config.valueBytes
	n.server = server.New(server.Options{
		Node: n, Limits: limits, Budget: replica.NewBudget(n.config.inFlightBytes), Clock: n.around.clock,
		Importer: n.importer, Log: n.around.log, Cluster: n.config.cluster, Shard: n.config.shard, NodeID: n.identity.Node,
	})
	n.serving.Go(func() {
		if err := n.server.Serve(n.mux.GRPC()); err != nil && !errors.Is(err, net.ErrClosed) {
			n.around.fatal(err)
		}
	})
}

// openReplica runs until the replica is open, fails, or the node stops.
func (n *node) openReplica(ctx context.Context) {
	defer close(n.opened)
	r, err := replica.Open(ctx, replica.Options{
		Dir: n.config.data, FS: n.around.fs, Clock: n.around.clock, Log: n.around.log,
		Identity: transport.Identity{
			ClusterID: n.config.cluster, Shard: n.config.shard, NodeID: n.identity.Node, Address: n.address,
		},
		Book: n.book, Mux: n.mux, DialFrom: n.config.dialFrom,
		Timing: replica.Timing{Heartbeat: n.config.heartbeat, Lease: n.config.lease, Commit: n.config.commit},
		Sizes: replica.Sizes{
			SegmentBytes: n.config.segmentBytes, CompactBytes: n.config.compactBytes,
			TrailingBytes: n.config.trailingBytes, StallLimit: n.config.stall,
		},
		Changed: n.changed, Fetch: server.Seeder(n.around.clock, transport.Dialer(n.config.dialFrom), n.config.cluster, n.config.shard),
		AskIndex: n.asker.Ask, FormatMax: n.config.formatMax, FormatNew: n.config.formatNew,
		AskFormat: server.FormatAsker(transport.Dialer(n.config.dialFrom), n.config.cluster, n.config.shard),
		Lead: func(ctx context.Context, r *replica.Replica) {
			sweeper := &move.Sweeper{Shard: r, Clock: n.around.clock, Log: n.around.log}
			sweeper.Run(ctx)
		},
		Observer: n.changes,
		Seeding:  func() { n.setState(nodev1.State_STATE_SEEDING) },
		OnFatal:  func(err *replica.FatalError) { n.around.fatal(faultOf(err)) },
	})
	if err != nil && ctx.Err() == nil {
		n.around.fatal(err)
	}
	if err != nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.replica = r
	if n.state != nodev1.State_STATE_STOPPING {
		n.state = nodev1.State_STATE_SERVING
	}
	n.changed.Raise()
}

// endBegins says so before the log does: what Raft complains of afterwards is expected.
func (n *node) endBegins() {
	select {
	case <-n.opened:
		if n.replica != nil {
			n.replica.EndBegins()
		}
	default:
	}
}

// stop is the orderly end. It returns within ctx, whatever peers and clients do; only a disk that does not answer can
// hold it longer, and then the caller's process just ends.
func (n *node) stop(ctx context.Context) error {
	n.setState(nodev1.State_STATE_STOPPING)
	n.stopOpening()
	done := make(chan error, 1)
	go func() { done <- n.stopAll(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		n.around.log.Warn("the orderly end took too long: just ending", "error", ctx.Err())
		return nil
	}
}

func (n *node) stopAll(ctx context.Context) error {
	<-n.opened
	if n.replica != nil {
		n.replica.Quiesce(ctx)
	}
	// Clients hear from their last answers who leads now, and go there before the connections close: so hardly a request
	// is cut off, whose outcome its client could not know.
	n.server.Linger(ctx)
	n.server.Stop()
	// Moves end before the replica that they use.
	n.importer.Close()
	// The port before the replica's connections: peers that still follow this node (nobody could take leadership over)
	// take a process that refuses connections for gone, and elect another leader at once.
	n.mux.Close()
	var err error
	if n.replica != nil {
		err = n.replica.Close()
	}
	n.asker.Close()
	n.closeOutside()
	return err
}

// closeOutside closes what is open besides the replica. It serves a start that failed, too.
func (n *node) closeOutside() {
	if n.debug != nil {
		n.debug.Close()
	}
	if n.server != nil {
		n.server.Stop()
	}
	if n.importer != nil {
		n.importer.Close()
	}
	if n.mux != nil {
		n.mux.Close()
	}
	if n.changes != nil {
		n.changes.Close()
	}
	n.serving.Wait()
	if n.lock != nil {
		n.lock.Close()
	}
}
