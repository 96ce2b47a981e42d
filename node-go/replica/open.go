package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"kvorum/node/engine"
	"kvorum/node/fsm"
	fsmcommand "kvorum/node/fsm/command"
	"kvorum/node/gen/command"
	"kvorum/node/raftlog"
	"kvorum/node/snapshot"
	"kvorum/node/telemetry"
	"kvorum/node/transport"
	"kvorum/node/transport/failover"
)

// Open opens what is on disk, completes or mends what a crash or a bad disk has left, and joins the Raft group. It may
// take as long as it takes to find a peer that seeds a damaged engine; ctx ends only that.
func Open(ctx context.Context, o Options) (*Replica, error) {
	s, err := o.openStores(ctx)
	if err != nil {
		return nil, err
	}
	r := &Replica{
		options: o, id: raft.ServerID(o.Identity.NodeID), changed: o.Changed,
		engine: s.engine, log: s.log, fsm: s.fsm, compactor: s.compactor.Load(),
		changing:       make(chan struct{}, 1),
		stopLeadership: make(chan struct{}),
	}
	r.transport, err = transport.New(transport.Options{
		Identity: o.Identity, Book: o.Book, Listener: o.Mux.Raft(), DialFrom: o.DialFrom, Clock: o.Clock, Log: o.Log,
		RaftLog: telemetry.HCLog(o.Log, "raft-net", o.Clock, &r.ending),
	})
	if err != nil {
		s.close()
		return nil, err
	}
	if err := r.start(s); err != nil {
		r.transport.Close()
		s.close()
		return nil, err
	}
	return r, nil
}

// start runs Raft and everything around it.
func (r *Replica) start(s *stores) error {
	notices := make(chan bool)
	r.gate = newHeartbeatGate(r.transport)
	logger := telemetry.HCLog(r.options.Log, "raft", r.options.Clock, &r.ending)
	config := raftConfig(r.id, r.options.Timing, logger, notices)
	var err error
	r.configurations = &configurations{snapshots: s.snapshots, changed: r.changed.Raise}
	log := &logGuard{Log: s.log, snapshots: s.snapshots, onFatal: r.options.OnFatal, configurations: r.configurations}
	machine := &watchedFSM{FSM: s.fsm, changed: r.changed, restored: func() { log.installed.Store(true) }}
	r.raft, err = raft.NewRaft(config, machine, log, s.log, s.snapshots, r.gate)
	if err != nil {
		return fmt.Errorf("start Raft: %w", err)
	}
	r.observe()
	r.wire(notices)
	leads := func() bool { return r.raft.State() == raft.Leader }
	log.leads.Store(&leads)
	r.transport.OnAppend(r.sender())
	r.transport.OnCampaign(r.voter(log))
	r.transport.OnInstall(func(request *raft.InstallSnapshotRequest) bool { return log.holds(request, r.raft.CurrentTerm()) })
	// Raft blocks on its notices until this runs.
	go r.leadership.run(r.stopLeadership)
	go r.proposer.run()
	r.compactor.Start(snapshot.OfRaft(r.raft))
	if voters := r.voters(); len(voters) == 1 && voters[0] == r.id {
		// Nobody else could lead: no need to wait for a time-out.
		r.campaign()
	}
	return nil
}

func (r *Replica) campaign() {
	if err := r.transport.CampaignNow(); err != nil {
		r.options.Log.Warn("the first campaign must wait for its time-out", "error", err)
	}
}

// observe sees every change of role and leader, on Raft's own goroutine. It is the only observer that there ever is, and
// it is never taken away: both would wait for observations that wait for the gate.
func (r *Replica) observe() {
	gate := r.gate
	gate.state, gate.term = r.raft.State, r.raft.CurrentTerm
	r.raft.RegisterObserver(raft.NewObserver(nil, false, func(o *raft.Observation) bool {
		gate.observe(o.Data)
		switch o.Data.(type) {
		case raft.RaftState, raft.LeaderObservation:
			now := r.options.Clock.Now()
			r.turned.Store(&now)
			r.changed.Raise()
		case raft.PeerObservation:
			r.changed.Raise()
		}
		return false
	}))
	gate.catchUp(r.knownLeader)
}

func (r *Replica) knownLeader() raft.ServerID {
	_, id := r.raft.LeaderWithID()
	return id
}

// lastContact is when this node last heard of a leader, led, or voted; zero if not since its start. Raft's own notion
// knows nothing of a leadership until it has ended, and of a vote until it is on the disk.
func (r *Replica) lastContact() time.Time {
	contact := r.raft.LastContact()
	if turned := r.turned.Load(); turned != nil && turned.After(contact) {
		return *turned
	}
	return contact
}

// wire joins the parts by functions.
func (r *Replica) wire(notices <-chan bool) {
	leads := func() bool { return r.raft.State() == raft.Leader }
	r.logTime = &logTime{applied: r.fsm.LogTimeMs, clock: r.options.Clock}
	r.proposer = newProposer(proposerSeams{
		propose: func(data []byte) raft.ApplyFuture { return r.raft.Apply(data, 0) },
		leads:   leads, hint: r.hint, logTime: r.logTime.now, format: r.fsm.Format, clock: r.options.Clock,
	})
	r.expirer = &expirer{due: r.fsm.Due, now: r.logTime.now, propose: r.Propose, clock: r.options.Clock, log: r.options.Log}
	r.leadership = newLeadership(leadershipSeams{
		notices: notices, term: r.raft.CurrentTerm, leads: leads, open: r.openTerm,
		ready: r.ready, lost: r.proposer.shut, lead: r.lead, noticed: r.changed.Raise, clock: r.options.Clock,
		log: r.options.Log,
	})
	r.confirmer = newConfirmer(confirmerSeams{
		leadership: r.leadership, commitIndex: r.raft.CommitIndex,
		ask: newAsker(askerSeams{
			self: r.id, voters: r.voters, heartbeat: r.transport.Heartbeat, deposed: func() { r.raft.VerifyLeader() },
		}).ask,
		acked: func(term uint64, since time.Time) bool {
			return r.transport.AckedSince(term, since, r.voters(), r.id)
		},
		acks: r.transport.Acks, waitApplied: r.fsm.WaitApplied, hint: r.hint, clock: r.options.Clock,
		proven: func(t0 time.Time) { r.freshness.note(t0) },
	})
	r.freshness = newFreshness(freshnessSeams{
		readIndex: r.confirmer.readIndex, ask: r.options.AskIndex, waitApplied: r.fsm.WaitApplied, clock: r.options.Clock,
	})
	r.failover = failover.New(failover.Options{
		Self: r.id, Clock: r.options.Clock, Log: r.options.Log,
		Raft: failover.Raft{
			State:    r.raft.State,
			Leader:   r.knownLeader,
			Vote:     func() raft.ServerID { return r.log.Vote(r.raft.CurrentTerm()) },
			Voters:   r.voters,
			Contact:  r.lastContact,
			Refused:  r.transport.Refused,
			Campaign: r.transport.CampaignNow,
		},
	})
	r.transport.OnPeerGone(r.failover.PeerGone)
}

// ready is called when everything that earlier leaders acknowledged is applied here.
func (r *Replica) ready() {
	r.logTime.begin()
	r.proposer.ready()
}

// lead does what only a leader does, beside serving.
func (r *Replica) lead(ctx context.Context) {
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { r.raiseFresh(ctx) })
	beside.Go(func() { r.expirer.run(ctx) })
	if r.options.Lead != nil {
		r.options.Lead(ctx, r)
	}
}

// openTerm proposes a command that changes nothing (see leadership.prepare).
func (r *Replica) openTerm() (raft.ApplyFuture, error) {
	r.fresh.Store(0)
	if r.options.FormatNew > r.fsm.Format() && r.fsm.LogTimeMs() == 0 {
		r.fresh.Store(r.raft.CurrentTerm())
	}
	data, err := fsmcommand.Encode(&command.Command{
		StampMs: r.fsm.LogTimeMs(),
		Kind:    &command.Command_Write{Write: &command.WriteBatch{}},
	}, r.fsm.Format())
	if err != nil {
		return nil, err
	}
	return r.raft.Apply(data, 0), nil
}

// voters are those that Raft counts.
func (r *Replica) voters() []raft.ServerID {
	return configuration{servers: r.raft.GetConfiguration().Configuration().Servers}.votersWithout("")
}

// watchedFSM tells watchers of new members, of ownership and of a newer format, of which Raft makes no observation on followers, and the log
// that a snapshot was installed.
type watchedFSM struct {
	*fsm.FSM
	changed  *Signal
	restored func()
}

func (f *watchedFSM) Restore(content io.ReadCloser) error {
	err := f.FSM.Restore(content)
	if err == nil {
		f.restored()
	}
	return err
}

func (f *watchedFSM) Apply(entry *raft.Log) any {
	before, format := f.FSM.Partitions(), f.FSM.Format()
	response := f.FSM.Apply(entry)
	if f.FSM.Partitions() != before || f.FSM.Format() != format {
		f.changed.Raise()
	}
	return response
}

func (f *watchedFSM) StoreConfiguration(index uint64, configuration raft.Configuration) {
	f.FSM.StoreConfiguration(index, configuration)
	f.changed.Raise()
}

// closeStores syncs the engine, so that the next start has little to replay, and closes the rest whatever fails.
func closeStores(err error, e engine.Engine, log *raftlog.Log) error {
	_, syncErr := e.Sync(context.Background())
	return errors.Join(err, syncErr, e.Close(), log.Close())
}
