package main

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// chunkBytes counts as one packet.
	chunkBytes = 16 << 10
	// queueChunks bounds what one direction of a connection holds back; past it the sender feels it, as with a full window.
	queueChunks = 256
	// resendAfter is how long a lost packet is missed at first. Each further loss of it doubles that, up to resendsMax, and
	// then the connection breaks.
	resendAfter = 200 * time.Millisecond
	resendsMax  = 4
	// trickles are the pieces in which a second's worth of a slow link is sent.
	trickles = 20
)

var (
	errOver  = errors.New("the connection is over")
	errReset = errors.New("the connection was reset")
)

// chunk is some bytes of a stream or, without any, its end.
type chunk struct {
	data    []byte
	arrived time.Time
	// luck between 0 and 1 decides the jitter.
	luck float64
	// reset: it ended with an error.
	reset bool
}

// pipe is one direction of a connection.
type pipe struct {
	link  Link
	rules *rules
	count *counters
	luck  func() float64
	// answers: this is what the end that was connected to says, so it can be swallowed.
	answers bool
	// lost is called when bytes were thrown away.
	lost func()
	over <-chan struct{}

	queue chan chunk
	mu    sync.Mutex
	// ended: the reader has seen the end of its stream.
	ended bool
}

// read fills the queue until the stream ends.
func (p *pipe) read(from net.Conn) {
	for {
		buffer := make([]byte, chunkBytes)
		n, err := from.Read(buffer)
		if n > 0 && !p.put(chunk{data: buffer[:n], arrived: time.Now(), luck: p.luck()}) {
			return
		}
		if err == nil {
			continue
		}
		p.mu.Lock()
		p.ended = true
		p.mu.Unlock()
		p.put(chunk{arrived: time.Now(), reset: !errors.Is(err, io.EOF)})
		return
	}
}

func (p *pipe) put(c chunk) bool {
	select {
	case p.queue <- c:
		return true
	case <-p.over:
		return false
	}
}

func (p *pipe) hasEnded() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

// write empties the queue as the rules have it. It returns errReset when the connection is to be reset, nil after the end of
// the stream was passed on. What the other end does not take any more is thrown away: it says so itself, on the other pipe.
func (p *pipe) write(to *net.TCPConn) error {
	gone := false
	for {
		var c chunk
		select {
		case c = <-p.queue:
		case <-p.over:
			return errOver
		}
		err := p.due(c)
		switch {
		case err != nil:
			return err
		case c.reset:
			return errReset
		case len(c.data) == 0:
			// An error says that the other end is gone already.
			_ = to.CloseWrite()
			return nil
		case p.isSwallowed():
			p.count.swallowed.Add(int64(len(c.data)))
			p.lost()
		case !gone:
			if err := p.send(to, c.data); errors.Is(err, errOver) {
				return err
			} else if err != nil {
				gone = true
			}
		}
	}
}

// isSwallowed asks for the rule of whoever asks, not of who answers.
func (p *pipe) isSwallowed() bool {
	rule, _ := p.rules.on(p.link.reversed())
	return p.answers && rule.Swallow
}

// due waits until a chunk may go on.
func (p *pipe) due(c chunk) error {
	sentAgain := 0
	missed := resendAfter
	held := false
	for {
		rule, changed := p.rules.on(p.link)
		var wait time.Duration
		switch {
		case rule.Cut:
			wait = -1
		case rule.Loss > 0 && p.luck() < rule.Loss:
			if sentAgain++; sentAgain > resendsMax {
				p.count.broken.Add(1)
				return errReset
			}
			p.count.resent.Add(1)
			// Whatever the rule is by then, the packet has been missed so long. Then it may be lost again.
			if err := p.pause(missed, nil); err != nil {
				return err
			}
			missed *= 2
			continue
		default:
			wait = rule.delay(c.luck) - time.Since(c.arrived)
			if wait <= 0 {
				return nil
			}
		}
		if !held {
			held = true
			p.count.held.Add(1)
		}
		if err := p.pause(wait, changed); err != nil {
			return err
		}
	}
}

// send writes at the rate that is allowed.
func (p *pipe) send(to net.Conn, data []byte) error {
	for len(data) > 0 {
		rule, changed := p.rules.on(p.link)
		piece := len(data)
		if rule.BytesPerSecond > 0 {
			piece = min(piece, max(1, rule.BytesPerSecond/trickles))
		}
		n, err := to.Write(data[:piece])
		p.count.passed.Add(int64(n))
		if err != nil {
			return err
		}
		data = data[piece:]
		if rule.BytesPerSecond > 0 {
			wait := time.Duration(float64(piece) / float64(rule.BytesPerSecond) * float64(time.Second))
			if err := p.pause(wait, changed); err != nil {
				return err
			}
		}
	}
	return nil
}

// pause ends after wait, not by itself if that is negative, or when changed closes.
func (p *pipe) pause(wait time.Duration, changed <-chan struct{}) error {
	var late <-chan time.Time
	if wait >= 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-late:
		return nil
	case <-changed:
		return nil
	case <-p.over:
		return errOver
	}
}
