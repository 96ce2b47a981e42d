// The ways to a cluster that clients have, each as a user of it would go.
import {
  type Hit,
  KvClient,
  type Op,
  op,
  RequestWrapper,
  type TransactionStart,
} from '../../../orchestrator/client/index.js'
import { CompatClient } from '../../compat/client.js'
import { ACCOUNTS } from '../model/balances.js'
import { type Told, ToldError } from './recorder.js'

export interface Way {
  readonly name: string
  get(key: string, deadlineMs: number): Promise<Told>
  /** A get that any replica may answer, where the way knows such. */
  getStale?(key: string, deadlineMs: number, staleMs: number): Promise<Told>
  put(key: string, value: string, deadlineMs: number, condition?: Condition): Promise<Told>
  delete(key: string, deadlineMs: number, condition?: Condition): Promise<Told>
  /** Where the way knows appends. */
  append?(key: string, value: string, deadlineMs: number): Promise<Told>
  /** Where the way knows them; null: absent. */
  compareAndSet?(key: string, expected: string | null, value: string, deadlineMs: number): Promise<Told>
  increment?(key: string, by: number, deadlineMs: number): Promise<Told>
  /** undefined: for ever. A way that knows this knows puts for a time as well. */
  touch?(key: string, ttlMs: number | undefined, deadlineMs: number): Promise<Told>
  /** Where the way knows transactions: all accounts of a hash tag at one moment, after a transfer if there is one. */
  transact?(tag: string, transfer: Transfer | undefined, deadlineMs: number): Promise<Told>
  /** Whether it tells versions, and takes conditions. */
  readonly versions: boolean
  close(): Promise<void>
}

export interface Transfer {
  readonly from: number
  readonly to: number
  readonly by: number
  /** Nothing is moved unless the account that gives has this balance; undefined: whatever it has. */
  readonly expected: string | undefined
}

/** The account of a group, all of them in one partition. */
export function accountOf(tag: string, account: number): string {
  return `{${tag}}${account}`
}

export interface Condition {
  readonly ifVersion?: number
  /** It is to tell what it replaces. */
  readonly returnPrevious?: true
  readonly ttlMs?: number
}

/** KvClient, straight to the leaders or through a gateway. */
export async function kvClient(
  name: string,
  endpoints: readonly string[],
  mode: 'auto' | 'direct' | 'gateway',
): Promise<Way> {
  const client = await KvClient.connect({ endpoints, mode })
  return {
    name,
    versions: true,
    get: async (key, deadlineMs) => foundBy(await client.get(key, { deadlineMs })),
    getStale: async (key, deadlineMs, staleMs) => foundBy(await client.get(key, { deadlineMs, staleMs })),
    put: async (key, value, deadlineMs, condition) => {
      const { version, previous } = await client.put(key, value, {
        deadlineMs,
        ...optionsOf(condition),
        ...livesFor(condition?.ttlMs),
      })
      return { version: Number(version), ...replacedBy(previous) }
    },
    delete: async (key, deadlineMs, condition) => {
      const { existed, previous } = await client.delete(key, { deadlineMs, ...optionsOf(condition) })
      return { existed, ...replacedBy(previous) }
    },
    compareAndSet: async (key, expected, value, deadlineMs) => {
      const { version } = await client.compareAndSet(key, expected, value, { deadlineMs })
      return { version: Number(version) }
    },
    increment: async (key, by, deadlineMs) => ({
      sum: Number(await client.increment(key, BigInt(by), { deadlineMs })),
    }),
    touch: async (key, ttlMs, deadlineMs) => ({ existed: await client.touch(key, { deadlineMs, ...livesFor(ttlMs) }) }),
    transact: (tag, transfer, deadlineMs) => transact(client, tag, transfer, deadlineMs),
    append: async (key, value, deadlineMs) => {
      const { version, length } = await client.append(key, value, { deadlineMs })
      return { version: Number(version), length }
    },
    close: () => client.close({ drainMs: 0 }),
  }
}

async function transact(
  client: KvClient,
  tag: string,
  transfer: Transfer | undefined,
  deadlineMs: number,
): Promise<Told> {
  const all: readonly Op[] = Array.from({ length: ACCOUNTS }, (_, account) => op.get(accountOf(tag, account)))
  const moves = transfer === undefined ? [] : movesOf(tag, transfer)
  const start = startOf(client.txn(), tag, transfer)
  const { succeeded, results } = await start
    .then(...moves, ...all)
    .else(...all)
    .run({ deadlineMs })
  const found = results.slice(-ACCOUNTS) as readonly (Hit | null)[]
  return { succeeded, balances: found.map((hit) => (hit === null ? null : Number(hit.text()))) }
}

function startOf(start: TransactionStart, tag: string, transfer: Transfer | undefined): TransactionStart {
  if (transfer?.expected === undefined) return start
  return start.if(accountOf(tag, transfer.from), 'value', '==', transfer.expected)
}

function movesOf(tag: string, { from, to, by }: Transfer): Op[] {
  return [op.increment(accountOf(tag, from), BigInt(-by)), op.increment(accountOf(tag, to), BigInt(by))]
}

export function requestWrapper(name: string, endpoints: readonly string[]): Way {
  const client = new RequestWrapper(endpoints)
  return {
    name,
    versions: false,
    get: async (key, deadlineMs) => ({ got: await client.get(key, { deadlineMs }) }),
    put: (key, value, deadlineMs) => client.put(key, value, { deadlineMs }).then(nothing),
    delete: (key, deadlineMs) => client.delete(key, { deadlineMs }).then(nothing),
    append: async (key, value, deadlineMs) => ({ length: await client.append(key, value, { deadlineMs }) }),
    close: async () => client.close(),
  }
}

/** The package-less service, by a client that shares no line with Kvorum. It has a deadline of its own. */
export function compat(name: string, address: string): Way {
  const client = new CompatClient(address)
  return {
    name,
    versions: false,
    get: async (key) => {
      const { success, exists, data } = await client.getRaw(key)
      if (!success) throw inBand(data)
      return { got: exists ? data : null }
    },
    put: async (key, value) => {
      const { success, error } = await client.putRaw(key, value)
      if (!success) throw inBand(error)
      return {}
    },
    delete: async (key) => {
      const { success, error } = await client.deleteRaw(key)
      if (!success) throw inBand(error)
      return {}
    },
    close: async () => client.close(),
  }
}

function foundBy(hit: Hit | null): Told {
  return hit === null ? { got: null, version: 0 } : { got: hit.text(), version: Number(hit.version) }
}

function livesFor(ttlMs: number | undefined) {
  return ttlMs === undefined ? {} : { ttlMs }
}

function optionsOf({ ifVersion, returnPrevious }: Condition = {}) {
  return {
    ...(ifVersion !== undefined && { ifVersion: BigInt(ifVersion) }),
    ...(returnPrevious !== undefined && { returnPrevious }),
  }
}

function replacedBy(previous: Hit | null | undefined): Told {
  return previous === undefined ? {} : { returned: true, previous: previous?.text() ?? null }
}

function nothing(): Told {
  return {}
}

/** The contract has no other place for the code and the outcome than the text. */
function inBand(text: string): ToldError {
  const outcome = /\((applied|not-applied|unknown)\)$/.exec(text)?.[1]
  const code = /^[A-Z_]+/.exec(text)?.[0] ?? text
  return new ToldError(code, outcome === 'applied' || outcome === 'not-applied' ? outcome : 'unknown')
}
