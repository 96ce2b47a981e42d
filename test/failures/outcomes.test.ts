// What a client is told, held against what has happened: each kind of failure between it and the nodes, met by each
// operation, with and without the time to wait for the end of the failure.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { RequestWrapper } from '../../orchestrator/client/index.js'
import { KvUnary } from '../../orchestrator/wire/kv-unary.js'
import { Cluster } from '../harness/cluster.js'
import { keysOn } from '../harness/keys.js'
import { signal } from '../harness/process.js'
import { SwallowProxy } from '../harness/swallow.js'
import { until, within } from '../harness/wait.js'
import { outcomeOf } from '../harness/workload.js'

/** Time to wait for the end of any failure here, and not enough for it. */
const PATIENT_MS = 30_000
const HASTY_MS = 250
const READ = { deadlineMs: 10_000 }
/** The only shard that ever is without a majority. */
const SHARD = 1
const BEFORE = 'before;'
const AFTER = 'after;'

interface Way {
  readonly client: RequestWrapper
  readonly proxy: SwallowProxy
  readonly key: string
}

interface Failure {
  /** Gives its end. */
  begin(way: Way): Promise<() => unknown>
  /** Whether an operation is where the failure strikes. */
  met(way: Way, act: Act, connected: boolean): boolean | Promise<boolean>
  /** Nothing leaves the client. */
  readonly silent?: true
}

const FAILURES: Readonly<Record<string, Failure>> = {
  'the request is lost': {
    begin: async ({ proxy }) => {
      proxy.swallow('requests')
      return () => proxy.heal()
    },
    met: ({ proxy }) => proxy.swallowed > 0,
  },
  'the answer is lost': {
    begin: async ({ proxy }) => {
      proxy.swallow('answers')
      return () => proxy.heal()
    },
    // Of one that is not connected the answers to its greeting are lost.
    met: async ({ proxy, key }, { once }, connected) =>
      proxy.swallowed > 0 && (!connected || once === undefined || (await contentOf(key)).value === once.value),
  },
  'the connection is refused': {
    begin: async ({ client, proxy, key }) => {
      await proxy.refuse()
      // Until the client has noticed it may send into the connection that broke.
      await client.get(key, { deadlineMs: HASTY_MS }).catch(() => undefined)
      return () => proxy.heal()
    },
    met: () => true,
    silent: true,
  },
  'the gateway is stopped': {
    begin: async ({ proxy }) => {
      cluster.orchestrator.signal('SIGSTOP')
      askedBefore = proxy.asked
      return () => cluster.orchestrator.signal('SIGCONT')
    },
    met: hasAsked,
  },
  'the shard has no majority': {
    begin: async ({ proxy }) => {
      // By their pids: the leader of the first look may follow in the second.
      const looks = [await cluster.leaderOf(SHARD), ...(await cluster.followersOf(SHARD))]
      const pids = [...new Set(looks.map(({ pid }) => pid))].slice(0, 2)
      for (const pid of pids) signal(pid, 'SIGSTOP')
      askedBefore = proxy.asked
      return () => {
        for (const pid of pids) signal(pid, 'SIGCONT')
      }
    },
    met: hasAsked,
  },
}

let askedBefore = 0

function hasAsked({ proxy }: Way): boolean {
  return proxy.asked > askedBefore
}

/** What a key holds; `writes` counts from its first one, deletes included. */
interface Content {
  readonly value: string | null
  readonly version: bigint
}

interface Options {
  readonly deadlineMs: number
  readonly signal: AbortSignal
}

interface Act {
  readonly run: (way: Way, options: Options) => Promise<unknown>
  /** What the key holds when it was applied once; undefined: it changes nothing. */
  readonly once: Content | undefined
  /** What it answers when it succeeds. */
  readonly answer: unknown
}

const OLD: Content = { value: BEFORE, version: 1n }

const ACTS: Readonly<Record<string, Act>> = {
  get: {
    run: ({ client, key }, options) => client.get(key, options),
    once: undefined,
    answer: BEFORE,
  },
  put: {
    run: ({ client, key }, options) => client.put(key, AFTER, options),
    once: { value: AFTER, version: 2n },
    answer: undefined,
  },
  delete: {
    run: ({ client, key }, options) => client.delete(key, options),
    once: { value: null, version: 0n },
    answer: undefined,
  },
  append: {
    run: ({ client, key }, options) => client.append(key, AFTER, options),
    once: { value: BEFORE + AFTER, version: 2n },
    answer: BEFORE.length + AFTER.length,
  },
}

type Outcome = 'success' | 'applied' | 'not-applied' | 'unknown'

type Patience = 'waits' | 'has no time' | 'gives up'

interface Told {
  readonly outcome: Outcome
  readonly answer: unknown
}

let cluster: Cluster
/** Past every failure but those of the cluster itself. */
let healthy: KvUnary
let nextKey: () => string
beforeAll(async () => {
  cluster = await Cluster.start()
  await cluster.settled()
  healthy = new KvUnary(cluster.address)
  nextKey = keysOn(await cluster.map(), SHARD, 'outcomes')
})
afterAll(async () => {
  healthy?.close()
  await cluster?.dispose()
})

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** Everything that was ever told, to be looked at again in the end: an operation that comes late is a lie as well. */
const all: { readonly what: string; readonly key: string; readonly act: Act; readonly told: Told }[] = []

describe.each(Object.keys(FAILURES))('%s', (failure) => {
  describe.each(Object.keys(ACTS))('%s', (name) => {
    describe.each([true, false])('by a client that is connected: %s', (connected) => {
      test('with time: succeeds once', async () => {
        const told = await meet(failure, name, 'waits', connected)
        expect(told.outcome).toBe('success')
      })

      test.each(['has no time', 'gives up'] as const)('that %s: is told the truth', async (patience) => {
        const told = await meet(failure, name, patience, connected)
        expect(told.outcome).toMatch(name === 'get' ? /^not-applied$/ : /^(not-applied|unknown)$/)
        // Nothing has left the client: it must know.
        if (FAILURES[failure]?.silent || !connected) expect(told.outcome).toBe('not-applied')
      })
    })
  })
})

test('and what was told is still true in the end', async () => {
  await cluster.settled()
  const counts = new Map<string, number>()
  for (const { what, key, act, told } of all) {
    judge(what, act, told, await contentOf(key))
    counts.set(told.outcome, (counts.get(told.outcome) ?? 0) + 1)
  }
  console.log(`${all.length} operations: ${[...counts].map(([outcome, count]) => `${count} ${outcome}`).join(', ')}`)
})

/** One operation on a key of its own that meets a failure, and what was told of it. */
async function meet(failure: string, name: string, patience: Patience, connected: boolean): Promise<Told> {
  const act = ACTS[name]
  const fault = FAILURES[failure]
  if (act === undefined || fault === undefined) throw new TypeError(`no ${name} or no ${failure}`)
  const way = await open(connected)
  const end = once(await fault.begin(way))
  cleanups.push(end)
  const abort = new AbortController()
  const deadlineMs = patience === 'has no time' ? HASTY_MS : PATIENT_MS
  let ended = false
  const call = tell(act.run(way, { deadlineMs, signal: abort.signal })).finally(() => {
    ended = true
  })
  if (patience !== 'has no time') {
    await until('the operation to have met the failure', () => fault.met(way, act, connected))
    expect(ended).toBe(false)
    if (patience === 'gives up') abort.abort()
    else await end()
  }
  const told = await within(`${name} while ${failure}`, deadlineMs + 10_000, call)
  await end()
  const what = `${name} while ${failure}, by one that ${patience}`
  judge(what, act, told, await contentOf(way.key))
  all.push({ what, key: way.key, act, told })
  return told
}

/** A client behind a proxy, and a key that was written once. Closed with the test. */
async function open(connected: boolean): Promise<Way> {
  const proxy = await SwallowProxy.start(cluster.address)
  cleanups.push(() => proxy.close())
  const client = new RequestWrapper(proxy.address)
  cleanups.push(() => client.close())
  const key = nextKey()
  await healthy.put(Buffer.from(key), Buffer.from(BEFORE), READ)
  // A write, so that it has a session as well.
  if (connected) await client.put(nextKey(), BEFORE)
  return { client, proxy, key }
}

function tell(call: Promise<unknown>): Promise<Told> {
  return call.then(
    (answer) => ({ outcome: 'success' as const, answer }),
    (error: unknown) => ({ outcome: outcomeOf(error), answer: undefined }),
  )
}

async function contentOf(key: string): Promise<Content> {
  return until(`${key} to be readable`, async () => {
    const { found, value, version } = await healthy.get(Buffer.from(key), READ)
    return { value: found ? Buffer.from(value).toString() : null, version }
  })
}

function judge(what: string, act: Act, { outcome, answer }: Told, content: Content): void {
  const applied = outcome === 'success' || outcome === 'applied'
  if (act.once === undefined || outcome === 'not-applied') expect(content, `${what}: ${outcome}`).toEqual(OLD)
  else if (applied) expect(content, `${what}: ${outcome}`).toEqual(act.once)
  else expect([OLD, act.once], `${what}: ${outcome}`).toContainEqual(content)
  if (outcome === 'success') expect(answer, what).toEqual(act.answer)
}

function once(end: () => unknown): () => Promise<void> {
  let ended: Promise<void> | undefined
  return () => {
    ended ??= Promise.resolve(end()).then(() => undefined)
    return ended
  }
}
