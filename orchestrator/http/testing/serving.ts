import { connect } from 'node:net'
import { afterEach } from 'vitest'
import { PreconditionFailedError } from '../../errors/index.js'
import { Condition, emptyStatus, type StatusResponse } from '../../wire/control.js'
import { Role } from '../../wire/node-admin.js'
import { type HttpOptions, serveHttp } from '../index.js'
import type { OperationStore } from '../operations.js'

const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

/** Closed at the end of the test. */
export async function serving(store: OperationStore, options: Partial<HttpOptions> = {}) {
  const status = async () => statusWith([1])
  const gateway = await serveHttp({ store, status, control: idle(), host: '127.0.0.1', port: 0, ...options })
  open.push(() => gateway.close())
  const url = `http://${gateway.address}`
  return {
    gateway,
    url,
    ask: (path: string, init?: RequestInit) => fetch(url + path, init),
    raw: (text: string | Buffer) => raw(Number(gateway.address.split(':').at(-1)), text),
  }
}

/** There are no operations, and none begins. */
export function idle(): HttpOptions['control'] {
  const refuse = () => Promise.reject(new PreconditionFailedError('not here', { outcome: 'not-applied' }))
  return { deletePrefix: refuse, steer: refuse, operations: async () => [], watch: async function* () {} }
}

/** Two shards, of which these have a leader. */
export function statusWith(led: readonly number[]): StatusResponse {
  const node = (shard: number, index: number) => {
    const role = index === 2 && led.includes(shard) ? Role.LEADER : Role.FOLLOWER
    const status = {
      ...emptyStatus(),
      nodeId: `n${shard}${index}`,
      address: `127.0.0.1:${shard}${index}`,
      role,
      term: 3n,
    }
    const where = { machine: 'm1', zone: 'm1', drained: false, slow: false }
    return { name: `shard-${shard}/node-${index}`, condition: Condition.UP, reason: '', status, ...where }
  }
  const groups = [0, 2, 1].map((shard) => ({
    shard,
    partitions: 512,
    nodes: [1, 2, 3].map((index) => node(shard, index)),
  }))
  return { epoch: 7n, groups }
}

/** Everything that comes back until the server closes. */
function raw(port: number, text: string | Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text))
    let received = ''
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => {
      received += chunk
    })
    socket.once('close', () => resolve(received))
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error)
    })
    open.push(() => socket.destroy())
  })
}

export const inJson = (value: unknown, headers: Record<string, string> = {}) => ({
  headers: { 'Content-Type': 'application/json', ...headers },
  body: JSON.stringify(value),
})
