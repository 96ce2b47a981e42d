// How long keys live.
import { InvalidArgumentError } from 'commander'
import { TTL_MS_MAX } from '../core/operation.js'
import type { Connection, Context, Form } from './context.js'
import { EXIT } from './exit-codes.js'
import type { Flags, MakeCommand, Perform } from './program.js'
import { withKv } from './with-kv.js'
import { shown } from './words.js'

export interface TtlFlag {
  readonly ttl?: number
}

export const TTL_FLAG = 'how long it lives, as in 500ms, 30s, 5m, 2h or 7d; default: for ever'

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Takes an option's value as a time to live, in ms. */
export function duration(text: string): number {
  const [, number = '', unit = ''] = /^(\d{1,12})(ms|s|m|h|d)$/.exec(text.trim()) ?? []
  const ms = Number(number) * (UNITS[unit] ?? 0)
  if (ms >= 1 && ms <= TTL_MS_MAX) return ms
  throw new InvalidArgumentError('a time from 1ms to 3650d is needed, as in 500ms, 30s, 5m, 2h or 7d')
}

export function addTtl(command: MakeCommand, perform: Perform, context: Context): void {
  command('ttl <key>', 'print how long a key lives').action((key: string, { json }: Flags) =>
    perform({ name: 'ttl', key, json }, (form, to) => ttlOf(key, form, to, context)),
  )
  command('touch <key>', 'have a key live for so long from now on, or for ever; its value stays')
    .option('--ttl <time>', TTL_FLAG, duration)
    .action((key: string, { json, ttl }: Flags & TtlFlag) =>
      perform({ name: 'touch', key, json, writes: true }, (form, to) => touch(key, ttl, form, to, context)),
    )
}

/** Prints what is left, or that the key lives for ever. */
async function ttlOf(key: string, { json }: Form, connection: Connection, context: Context): Promise<number> {
  const hit = await withKv(connection, (kv) => kv.get(key))
  if (hit === null) return tellAbsent(key, json, context)
  const { ttlMs = null } = hit
  if (json) context.out(`${JSON.stringify({ ok: true, key, ttlMs })}\n`)
  else context.out(ttlMs === null ? 'for ever\n' : `${spoken(ttlMs)}\n`)
  return EXIT.ok
}

async function touch(
  key: string,
  ttlMs: number | undefined,
  { json }: Form,
  connection: Connection,
  context: Context,
): Promise<number> {
  const existed = await withKv(connection, (kv) => kv.touch(key, ttlMs === undefined ? {} : { ttlMs }))
  if (!existed) return tellAbsent(key, json, context)
  context.out(json ? `${JSON.stringify({ ok: true, key, existed })}\n` : 'ok\n')
  return EXIT.ok
}

function tellAbsent(key: string, json: boolean, { out, warn }: Context): number {
  if (json) out(`${JSON.stringify({ ok: true, key, existed: false })}\n`)
  else warn(`kvorum: the key ${shown(key)} has no value\n`)
  return EXIT.absent
}

/** Whole ms below a second, else seconds. */
function spoken(ms: number): string {
  return ms < 1000 ? `${ms}ms` : `${(ms / 1000).toFixed(1)}s`
}
