import { execFile, execFileSync } from 'node:child_process'
import { promisify } from 'node:util'
import { installRedis, missingRedis } from './binaries.js'
import { freePorts } from './ports.js'
import { type Servers, withServers } from './servers.js'
import type { Running, System } from './system.js'

const MASTERS = 3
const NODES = 2 * MASTERS

/** Three masters with a replica each; every server fsyncs its append-only file before it answers. */
export const redis: System = {
  missing: missingRedis,
  install: installRedis,
  start: () => withServers('redis', start),
}

async function start(servers: Servers): Promise<Running> {
  const all = await freePorts(2 * NODES)
  const ports = all.slice(0, NODES)
  for (const [index, port] of ports.entries()) {
    const flags = {
      bind: '127.0.0.1',
      port,
      dir: servers.folder(`server-${index + 1}`),
      'cluster-enabled': 'yes',
      'cluster-port': all[NODES + index],
      appendonly: 'yes',
      appendfsync: 'always',
      save: '',
      // Only makes the start shorter.
      'repl-diskless-sync-delay': 0,
    }
    const argv = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, String(value)])
    servers.spawn(['redis-server', ...argv])
  }
  for (const port of ports)
    await servers.until(`${port} to answer`, async () => includes(await ask(port, 'PING'), 'PONG'))
  await join(servers, ports, all.slice(NODES))
  const version = execFileSync('redis-server', ['--version'], { encoding: 'utf8' }).split(' sha=')[0] ?? ''
  const addresses = ports.map((port) => `127.0.0.1:${port}`)
  return { addresses, pids: servers.pids, version, stop: () => servers.dispose() }
}

async function join(servers: Servers, ports: readonly number[], busPorts: readonly number[]): Promise<void> {
  const nodes = ports.map((port, index) => `127.0.0.1:${port}@${busPorts[index]}`)
  await cli(['--cluster', 'create', ...nodes, '--cluster-replicas', '1', '--cluster-yes'])
  for (const port of ports) {
    await servers.until(`${port} to know the cluster`, async () =>
      includes(await ask(port, 'CLUSTER', 'INFO'), 'cluster_state:ok', `cluster_known_nodes:${NODES}`),
    )
    await servers.until(`${port} to replicate`, async () => {
      const info = await ask(port, 'INFO', 'replication')
      return replicates(info)
    })
  }
}

function replicates(info: string): true | undefined {
  if (info.includes('role:master')) return includes(info, 'connected_slaves:1', 'state=online')
  return includes(info, 'role:slave', 'master_link_status:up')
}

function includes(text: string, ...words: readonly string[]): true | undefined {
  return words.every((word) => text.includes(word)) ? true : undefined
}

function ask(port: number, ...command: readonly string[]): Promise<string> {
  return cli(['-p', String(port), ...command])
}

async function cli(argv: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('redis-cli', [...argv])
  return stdout
}
