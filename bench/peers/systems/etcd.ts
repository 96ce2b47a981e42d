import { execFileSync } from 'node:child_process'
import { buildGoServer, goServer, missingGoServer } from './binaries.js'
import { freePorts } from './ports.js'
import { type Servers, withServers } from './servers.js'
import type { Running, System } from './system.js'

const MEMBERS = 3

/** Three members with etcd's defaults: an entry is fsynced on a majority before it is answered. */
export const etcd: System = {
  missing: () => missingGoServer('etcd'),
  install: (tell) => buildGoServer('etcd', tell),
  start: () => withServers('etcd', start),
}

async function start(servers: Servers): Promise<Running> {
  const ports = await freePorts(2 * MEMBERS)
  const members = Array.from({ length: MEMBERS }, (_, index) => ({
    name: `member-${index + 1}`,
    client: `127.0.0.1:${ports[2 * index]}`,
    peer: `127.0.0.1:${ports[2 * index + 1]}`,
  }))
  const everybody = members.map(({ name, peer }) => `${name}=http://${peer}`).join(',')
  for (const { name, client, peer } of members) {
    const flags = {
      name,
      'data-dir': servers.folder(name),
      'listen-client-urls': `http://${client}`,
      'advertise-client-urls': `http://${client}`,
      'listen-peer-urls': `http://${peer}`,
      'initial-advertise-peer-urls': `http://${peer}`,
      'initial-cluster': everybody,
      'initial-cluster-state': 'new',
      'log-level': 'warn',
    }
    servers.spawn([goServer('etcd'), ...Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`)])
  }
  for (const { client } of members) await servers.until(`${client} to be healthy`, () => healthy(client))
  const version = execFileSync(goServer('etcd'), ['--version'], { encoding: 'utf8' }).split('\n')[0] ?? ''
  const addresses = members.map(({ client }) => client)
  return { addresses, pids: servers.pids, version, stop: () => servers.dispose() }
}

/** It says so only when there is a leader. */
async function healthy(client: string): Promise<true | undefined> {
  const answer = await fetch(`http://${client}/health`)
  const { health } = (await answer.json()) as { health?: string }
  return health === 'true' ? true : undefined
}
