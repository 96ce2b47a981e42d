import type { Exit } from './drivers/driver.js'

/** What to do about a member that is not what it was. */
export const PUT_BACK =
  'Put its directory back (kvorum restart it if it does not start by itself then), or kvorum node replace it; its shard ' +
  'goes on with the others meanwhile.'

/** What a supervisor does after its node's process has ended by itself. */
export type Decision =
  | { readonly action: 'restart'; readonly delayMs: number }
  /** Somebody else listens on the node's address: choose another one first. */
  | { readonly action: 'move'; readonly delayMs: number }
  /** Starting again does not help, and may hide that something is wrong. */
  | { readonly action: 'hold'; readonly advice: string }

const DELAY_MS_MIN = 100
export const DELAY_MS_MAX = 10_000
/** A node that ran this long is not failing in a loop: its next delay is the shortest again. */
export const STABLE_MS = 30_000

interface Meaning {
  readonly words: string
  readonly action: 'restart' | 'move' | 'hold'
  readonly advice: string
}

const SEE_LOG = 'Its node.log says more.'

/** The exit codes of kvnode (node-go/cmd/kvnode/exit.go). */
const MEANINGS: Readonly<Record<number, Meaning>> = {
  0: { words: 'stopped by somebody', action: 'restart', advice: '' },
  64: {
    words: 'it does not take the flags that it was started with',
    action: 'hold',
    advice: 'The orchestrator and kvnode are of different versions: build both again.',
  },
  65: {
    words: 'its data is damaged beyond what it can mend by itself',
    action: 'hold',
    advice: `Its shard goes on with the other nodes. Keep the directory: what is in it may be needed. ${SEE_LOG}`,
  },
  69: { words: 'its address is in use', action: 'move', advice: '' },
  70: { words: 'an internal fault', action: 'restart', advice: SEE_LOG },
  73: { words: 'its directory cannot be used', action: 'restart', advice: SEE_LOG },
  74: { words: 'writing to disk failed', action: 'restart', advice: 'Is the disk full?' },
  75: { words: 'the disk stalled, or damage was found that a new start mends', action: 'restart', advice: SEE_LOG },
  76: {
    words: "its directory holds another cluster's or shard's data",
    action: 'hold',
    advice: 'Put the right directory back and start Kvorum again; nothing was changed in this one.',
  },
}

const UNKNOWN: Meaning = { words: 'for an unknown reason', action: 'restart', advice: SEE_LOG }

/** @param failures how many times it has ended in a row without having been stable before this one */
export function decide(exit: Exit, ranMs: number, failures: number): Decision {
  const { action, advice } = meaningOf(exit)
  if (action === 'hold') return { action, advice }
  return { action, delayMs: delayAfter(ranMs >= STABLE_MS ? 0 : failures) }
}

/** The pause before the next try, after so many failures in a row. */
export function delayAfter(failures: number): number {
  return Math.min(DELAY_MS_MAX, DELAY_MS_MIN * 2 ** Math.min(failures, 20))
}

/** How it ended, in words: "killed by SIGKILL", "exit code 74 (writing to disk failed): no space left on device". */
export function describeExit(exit: Exit): string {
  const words = exit.lastWords === undefined ? '' : `: ${exit.lastWords}`
  if (exit.signal !== undefined) return `killed by ${exit.signal}${words}`
  if (exit.code === undefined) return `gone${words}`
  return `exit code ${exit.code} (${meaningOf(exit).words})${words}`
}

function meaningOf({ code }: Exit): Meaning {
  return (code === undefined ? undefined : MEANINGS[code]) ?? UNKNOWN
}
