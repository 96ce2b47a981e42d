package simulation

import (
	"fmt"

	"kvorum/node/fsm"
	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
)

const (
	// sessionExpiryMs is the shortest that there is.
	sessionExpiryMs = fsm.SessionExpiryMsMin
	// openMax is how many operations of a client wait at a time.
	openMax = 4
	// attemptsMax is after how many a client gives up.
	attemptsMax = 4
	valueLimit  = 1 << 20
)

// client repeats what is not answered, with the same number, until it is or until it gives up. Its rules are those of
// orchestrator/store: an operation is told what became of it, or that nobody knows.
type client struct {
	world *world
	id    int

	nonce uint64
	seats [shardsCount]seat
	open  []*op
	// believed are the owners of the halves, as the client has heard last.
	believed [halves]int
}

// seat is a client's session at one shard.
type seat struct {
	session fsm.SessionID
	opening *op
	// next is the next sequence number of the session.
	next uint64
}

type kind int

const (
	kindOpen kind = iota
	kindPut
	kindAppend
	kindDelete
)

// op is one operation of a client.
type op struct {
	kind  kind
	shard int
	key   string
	token string
	nonce uint64

	session  fsm.SessionID
	sequence uint64
	attempts int
	// begun and ended are steps of the truth's clock.
	begun, ended int
	outcome      outcome
	// version and length are what it was answered.
	version, length uint64
}

type outcome int

const (
	pending outcome = iota
	applied
	notApplied
	unknown
)

func (o *op) String() string {
	return fmt.Sprintf("%s(%s, %s) number %d attempt %d", [...]string{"open", "put", "append", "delete"}[o.kind], o.key, o.token, o.sequence, o.attempts)
}

// write asks every other time for what it replaces, where the format has that.
func (o *op) write(format uint32) *pb.Write {
	returning := format >= 3 && o.sequence%2 == 0
	key, value := []byte(o.key), []byte(o.token)
	switch o.kind {
	case kindOpen:
		return &pb.Write{Kind: &pb.Write_Open{Open: &pb.OpenSession{Nonce: o.nonce, ExpiryMs: sessionExpiryMs}}}
	case kindPut:
		return &pb.Write{Kind: &pb.Write_Put{Put: &pb.Put{Key: key, Value: value, ReturnPrevious: returning}}}
	case kindAppend:
		return &pb.Write{Kind: &pb.Write_Append{Append: &pb.Append{Key: key, Value: value, Limit: valueLimit}}}
	default:
		return &pb.Write{Kind: &pb.Write_Delete{Delete: &pb.Delete{Key: key, ReturnPrevious: returning}}}
	}
}

// act begins something, repeats something, or gives something up.
func (c *client) act() {
	closed := c.world.random.IntN(shardsCount)
	switch {
	case c.seats[closed].session == fsm.SessionID{}:
		c.openSession(closed)
	case len(c.open) == 0 || len(c.open) < openMax && !c.world.chance(3):
		c.begin()
	case c.world.chance(3):
		c.again(c.open[c.world.random.IntN(len(c.open))])
	}
}

func (c *client) openSession(at int) {
	seat := &c.seats[at]
	if seat.opening == nil {
		c.nonce++
		seat.opening = &op{kind: kindOpen, shard: at, nonce: uint64(c.id)<<32 | c.nonce}
	}
	c.send(seat.opening)
}

func (c *client) begin() {
	o := c.world.truth.draw(c.world)
	o.shard = c.believed[halfOf(o.key)]
	seat := &c.seats[o.shard]
	if (seat.session == fsm.SessionID{}) {
		c.world.truth.end(c.world, o, notApplied)
		return
	}
	o.session, o.sequence = seat.session, seat.next
	seat.next++
	c.open = append(c.open, o)
	c.send(o)
}

func (c *client) again(o *op) {
	if o.attempts < attemptsMax {
		c.send(o)
		return
	}
	c.end(o, unknown)
	c.world.note("given up", "%s", o)
}

func (c *client) send(o *op) {
	o.attempts++
	s := c.world.shards[o.shard]
	s.requests = append(s.requests, request{client: c, op: o, floor: c.floor(&c.seats[o.shard])})
}

// floor is the first number that the client still waits for.
func (c *client) floor(at *seat) uint64 {
	floor := at.next
	for _, o := range c.open {
		if o.session == at.session {
			floor = min(floor, o.sequence)
		}
	}
	return floor
}

func (c *client) answered(r request, result fsm.Result) {
	o := r.op
	switch {
	case o.kind == kindOpen:
		c.opened(o, result)
		return
	case o.outcome != pending:
		return
	case result.Err == nil:
		o.version, o.length = result.Version, result.Length
		c.world.truth.replaced(c.world, o, result.Previous)
		c.end(o, applied)
		return
	}
	switch result.Err.Code {
	case errpb.ErrorCode_ERROR_CODE_OVERLOADED, errpb.ErrorCode_ERROR_CODE_MOVING:
		c.world.happened["moving"]++
		return
	case errpb.ErrorCode_ERROR_CODE_SESSION_EXPIRED:
		c.world.note("expired", "%s", o)
		if seat := &c.seats[o.shard]; o.session == seat.session {
			seat.session = fsm.SessionID{}
		}
		if o.attempts > 1 {
			c.end(o, unknown)
			return
		}
	case errpb.ErrorCode_ERROR_CODE_WRONG_SHARD:
		c.world.note("wrong shard", "%s", o)
		c.believed[halfOf(o.key)] = 1 - o.shard
	default:
		c.world.fail("%s was answered %v", o, result.Err)
	}
	c.end(o, notApplied)
}

func (c *client) opened(o *op, result fsm.Result) {
	seat := &c.seats[o.shard]
	if seat.opening != o {
		return
	}
	if result.Err != nil {
		c.world.fail("opening a session: %v", result.Err)
	}
	seat.opening, seat.session, seat.next = nil, result.Session, 1
	c.world.note("session", "client %d: %x", c.id, result.Session)
}

func (c *client) end(o *op, how outcome) {
	for i, each := range c.open {
		if each == o {
			c.open = append(c.open[:i], c.open[i+1:]...)
			break
		}
	}
	c.world.truth.end(c.world, o, how)
}
