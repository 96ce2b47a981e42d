import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Kvm } from '@nats-io/kv'
import { connect } from '@nats-io/transport-node'
import { buildGoServer, goServer, missingGoServer } from './binaries.js'
import { freePorts } from './ports.js'
import { type Servers, withServers } from './servers.js'
import type { Running, System } from './system.js'

export const BUCKET = 'bench'
const SERVERS = 3

/** Three servers; the bucket is on all of them, and every write is fsynced before it is answered. */
export const nats: System = {
  missing: () => missingGoServer('nats-server'),
  install: (tell) => buildGoServer('nats-server', tell),
  start: () => withServers('nats', start),
}

async function start(servers: Servers): Promise<Running> {
  const ports = await freePorts(2 * SERVERS)
  const routes = ports.slice(SERVERS).map((port) => `nats://127.0.0.1:${port}`)
  for (let index = 0; index < SERVERS; index++) {
    const folder = servers.folder(`server-${index + 1}`)
    const file = join(folder, 'nats.conf')
    writeFileSync(file, configuration({ index, folder, routes, port: ports[index], route: ports[SERVERS + index] }))
    servers.spawn([goServer('nats-server'), '-c', file])
  }
  const addresses = ports.slice(0, SERVERS).map((port) => `127.0.0.1:${port}`)
  await servers.until('a bucket on every server', () => makeBucket(addresses))
  const version = execFileSync(goServer('nats-server'), ['--version'], { encoding: 'utf8' }).trim()
  return { addresses, pids: servers.pids, version, stop: () => servers.dispose() }
}

interface One {
  readonly index: number
  readonly folder: string
  readonly routes: readonly string[]
  readonly port: number | undefined
  readonly route: number | undefined
}

function configuration({ index, folder, routes, port, route }: One): string {
  return `
    server_name: server-${index + 1}
    listen: "127.0.0.1:${port}"
    jetstream { store_dir: ${JSON.stringify(join(folder, 'store'))}, sync_interval: always }
    cluster { name: bench, listen: "127.0.0.1:${route}", routes: ${JSON.stringify(routes)} }
  `
}

/** Without direct gets every get is answered by the bucket's leader and not by any replica. */
async function makeBucket(addresses: readonly string[]): Promise<true | undefined> {
  const connection = await connect({ servers: [...addresses] })
  try {
    const bucket = await new Kvm(connection).create(BUCKET, { replicas: SERVERS, history: 1, allow_direct: false })
    const { cluster } = (await bucket.status()).streamInfo
    const current = cluster?.replicas?.filter((one) => one.current) ?? []
    return current.length === SERVERS - 1 ? true : undefined
  } finally {
    await connection.close()
  }
}
