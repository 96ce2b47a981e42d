import type { FaultKind, Shape } from '../faults/fault.js'
import type { Schedule } from '../faults/schedule.js'

export interface Settings {
  readonly seed: number
  readonly shape: Shape
  readonly kinds: readonly FaultKind[]
  readonly roundMs: number
  /** The run ends after the round in which this time is over, or after so many rounds. */
  readonly runMs: number
  readonly roundsMax: number
  /** Replayed round by round, in place of what the seed would draw. */
  readonly schedule: Schedule | undefined
  /** Where the report goes, and everything when something is wrong. */
  readonly out: string
  /** Two clients instead of all kinds: what is measured then is the store, and not how busy the machine is. */
  readonly light: boolean
  /** How long the search for an order may take for one key. */
  readonly perKeyMs: number
  readonly versions: Readonly<Record<string, string>>
}

/** Whoever looks on. */
export interface View {
  /** Whether `state` is shown at all: it costs a look at every node. */
  readonly live: boolean
  say(text: string): void
  state(state: State): void
  end(): void
}

/** What a round is doing. */
export type Phase = 'faults' | 'coming back' | 'last reads' | 'checking'

export interface State {
  readonly round: number
  /** Of so many; infinite when only time ends the run. */
  readonly rounds: number
  readonly phase: Phase
  /** Of breaking things; healing and checking come on top. */
  readonly secondsLeft: number
  readonly operationsPerSecond: number
  /** "shard 1: node-2 leads in term 7", each. */
  readonly leaders: readonly string[]
}
