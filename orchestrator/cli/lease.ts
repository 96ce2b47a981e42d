// Leases: owners of many keys.
import { once } from 'node:events'
import { InvalidArgumentError } from 'commander'
import type { KvClient } from '../client/index.js'
import { leaseBytes, leaseText } from '../core/lease.js'
import { KvError } from '../errors/index.js'
import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'
import type { Flags, MakeCommand, Perform } from './program.js'
import { duration } from './ttl.js'
import { withKv } from './with-kv.js'

export interface LeaseFlag {
  readonly lease?: string
}

export const LEASE_FLAG = 'the lease that the key belongs to, and is deleted with (kvorum lease grant prints one)'

interface LeaseFlags extends Flags {
  readonly ttl?: number
  readonly once?: boolean
}

interface Task {
  readonly id: string | undefined
  readonly ttlMs: number | undefined
  readonly once: boolean
}

export const LEASE_ORDERS = ['grant', 'keep-alive', 'revoke'] as const
type Order = (typeof LEASE_ORDERS)[number]

/** Takes an argument as a lease's id. */
export function leaseId(text: string): string {
  const id = leaseBytes(text)
  if (id !== undefined) return leaseText(id)
  throw new InvalidArgumentError("a lease's id is needed: 32 hexadecimal digits, as kvorum lease grant prints them")
}

export function addLease(command: MakeCommand, perform: Perform, context: Context): void {
  command(
    'lease <what> [id]',
    `make a lease, keep it alive until Ctrl-C, or end it with all its keys: ${LEASE_ORDERS.join(', ')}`,
  )
    .option('--ttl <time>', 'of grant: how long it lives when nobody keeps it alive, from 1s on', duration)
    .option('--once', 'of keep-alive: once, and end')
    .action((what: string, id: string | undefined, { json, ttl, once = false }: LeaseFlags) => {
      const order = LEASE_ORDERS.find((one) => one === what)
      if (order === undefined) throw new TypeError(`kvorum lease does ${LEASE_ORDERS.join(', ')}; not ${what}`)
      const task = checked(order, { id, ttlMs: ttl, once })
      return perform({ name: `lease ${order}`, json, writes: true }, (form, to) => WAYS[order](task, form, to, context))
    })
}

function checked(order: Order, task: Task): Task {
  if (order === 'grant' && (task.ttlMs === undefined || task.id !== undefined)) {
    throw new TypeError('kvorum lease grant takes --ttl, as in --ttl 30s, and no id')
  }
  if (order === 'grant') return task
  const id = leaseBytes(task.id ?? '')
  if (id === undefined) throw new TypeError(`kvorum lease ${order} takes the id of a lease: 32 hexadecimal digits`)
  return { ...task, id: leaseText(id) }
}

type Way = (task: Task, form: Form, to: Connection, context: Context) => Promise<number>

const WAYS: Readonly<Record<Order, Way>> = { grant, 'keep-alive': keepAlive, revoke }

async function grant({ ttlMs = 0 }: Task, { json }: Form, to: Connection, { out }: Context): Promise<number> {
  const { id } = await withKv(to, (kv, left) => kv.lease.grant({ ttlMs, ...left() }))
  out(json ? `${JSON.stringify({ ok: true, lease: id, ttlMs })}\n` : `${id}\n`)
  return EXIT.ok
}

async function keepAlive(task: Task, { json }: Form, to: Connection, context: Context): Promise<number> {
  const { out, warn, interrupted } = context
  const { id = '' } = task
  try {
    await withKv(to, async (kv, left) => {
      const ttlMs = await kv.lease.of(id).keepAlive(left())
      out(json ? `${JSON.stringify({ ok: true, lease: id, ttlMs })}\n` : `it lives for ${ttlMs / 1000}s from now on\n`)
      if (!task.once) await untilOver(kv, id, interrupted)
    })
    return EXIT.ok
  } catch (error) {
    if (!(error instanceof KvError) || error.code !== 'LEASE_NOT_FOUND') throw error
    if (json) out(`${JSON.stringify({ ok: true, lease: id, existed: false })}\n`)
    else warn(`kvorum: ${error.message}\n`)
    return EXIT.absent
  }
}

/** Throws why nobody keeps it alive any more. */
async function untilOver(kv: KvClient, id: string, interrupted: AbortSignal | undefined): Promise<never> {
  const { signal } = kv.lease.of(id).hold({ signal: interrupted })
  if (!signal.aborted) await once(signal, 'abort')
  throw signal.reason
}

async function revoke({ id = '' }: Task, { json }: Form, to: Connection, { out, warn }: Context): Promise<number> {
  const existed = await withKv(to, (kv, left) => kv.lease.of(id).revoke(left()))
  if (json) out(`${JSON.stringify({ ok: true, lease: id, existed })}\n`)
  else if (existed) out('ok\n')
  else warn('kvorum: there is nothing of this lease\n')
  return existed ? EXIT.ok : EXIT.absent
}
