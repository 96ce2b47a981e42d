package move

import (
	"google.golang.org/protobuf/proto"

	nodev1 "kvorum/node/gen/node/v1"
	"kvorum/node/kverr"
)

// What a job and its caller have to do with each other.

// commit is the point from which the move goes on without its caller. It says whether there still was one.
func (j *job) commit() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.committed = !j.forsaken
	return j.committed
}

// abandon says that the caller has gone.
func (j *job) abandon() {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.forsaken:
	case j.committed:
		j.timer = j.clock.AfterFunc(grace, j.end)
	default:
		j.end()
	}
	j.forsaken = true
}

func (j *job) tell(phase nodev1.ImportResponse_Phase) {
	j.state.Phase = phase
	j.say()
}

// say leaves the newest state for the caller, in the place of one that it has not taken.
func (j *job) say() {
	now := proto.CloneOf(&j.state)
	for {
		select {
		case j.news <- now:
			return
		default:
		}
		select {
		case <-j.news:
		default:
		}
	}
}

// finish tells the caller the last state, and how the move ended.
func (j *job) finish(progress func(*nodev1.ImportResponse) error) *kverr.Error {
	select {
	case last := <-j.news:
		if progress(last) != nil && j.err == nil {
			return abandoned()
		}
	default:
	}
	return j.err
}
