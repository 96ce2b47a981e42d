// How long a run still breaks things, by what it was asked to do.

export interface Progress {
  /** Now, and its beginning. Times are those of performance.now(). */
  readonly nowMs: number
  readonly startMs: number
  /** The one that goes on, from 1, and when its faults end. */
  readonly round: number
  readonly roundEndMs: number
  readonly roundMs: number
  /** Of rounds and of time, whichever is reached first; a replay has no time. */
  readonly roundsMax: number
  readonly runMs?: number
}

/**
 * Without what healing and checking take: nobody knows that before. A run ends with the round in which its time is over, so the
 * round that goes on is always part of it.
 */
export function secondsLeft(progress: Progress): number {
  const { nowMs, startMs, round, roundEndMs, roundMs, roundsMax, runMs = Number.POSITIVE_INFINITY } = progress
  const ofRound = Math.max(0, roundEndMs - nowMs)
  const ofRounds = ofRound + Math.max(0, roundsMax - round) * roundMs
  const ofTime = Math.max(ofRound, startMs + runMs - nowMs)
  return Math.min(ofRounds, ofTime) / 1000
}
