// What is wrong with a node's disk and clock: a file beside its data directory, which the node program with faults in it
// follows (node-go/faults). Orders outlive the process, as a broken disk does.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { processesOf } from '../../harness/process.js'
import { until } from '../../harness/wait.js'
import type { Place } from './places.js'

/** What is wrong with a disk. */
export interface Broken {
  /** fsync says EIO. */
  readonly syncFails?: boolean
  /** How long each fsync hangs. */
  readonly syncStallsMs?: number
  /** fsync says that all is well, and does nothing. */
  readonly syncLies?: boolean
  /** Nothing can be made or appended. */
  readonly full?: boolean
}

export interface Orders {
  readonly disk?: Broken
  /** How far the wall clock is off. */
  readonly clockSeconds?: number
}

interface Numbered extends Orders {
  readonly number: number
  readonly powerCut?: { readonly pid: number; readonly seed: number }
}

/** A process that is paused or has ended takes them when it is back; it is not waited for longer than this. */
const ANSWER_MS_MAX = 2_000
const CUT_MS_MAX = 5_000

/** Lays a change over what is ordered already. It holds when this resolves, or when the node runs again. */
export async function order({ directory }: Pick<Place, 'directory'>, change: (now: Orders) => Orders): Promise<void> {
  const now = read(directory)
  const number = now.number + 1
  write(directory, { ...change(now), number })
  const taken = (): boolean => answerOf(directory) === number || !runs(directory)
  await until('the orders to be taken', taken, ANSWER_MS_MAX).catch(() => undefined)
}

/** Ends a node's process as a power cut does. Resolves when it is gone; rejects when it does not go: it may be paused. */
export async function cutPower({ directory, name }: Place, pid: number, seed: number): Promise<void> {
  const now = read(directory)
  write(directory, { ...now, number: now.number + 1, powerCut: { pid, seed } })
  try {
    await until(`${name} to lose its power`, () => !isThere(pid), CUT_MS_MAX)
  } catch (error) {
    // Nor later, when nobody expects it.
    write(directory, { ...now, number: now.number + 2 })
    throw error
  }
}

function read(directory: string): Numbered {
  const path = `${directory}.faults.json`
  if (!existsSync(path)) return { number: 0 }
  const { powerCut: _, ...orders } = JSON.parse(readFileSync(path, 'utf8')) as Numbered
  return orders
}

function write(directory: string, orders: Numbered): void {
  const path = `${directory}.faults.json`
  writeFileSync(`${path}.new`, JSON.stringify(orders))
  renameSync(`${path}.new`, path)
}

function answerOf(directory: string): number | undefined {
  const path = `${directory}.faults.seen`
  if (!existsSync(path)) return undefined
  const [number, pid] = readFileSync(path, 'utf8').trim().split(' ')
  // An earlier process may have answered the same.
  return isThere(Number(pid)) ? Number(number) : undefined
}

/** There is a lab only on Linux. Empty for a zombie. */
function isThere(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`).length > 0
  } catch {
    return false
  }
}

function runs(directory: string): boolean {
  return processesOf(directory).some(({ command }) => command.split(' ').includes(directory))
}
