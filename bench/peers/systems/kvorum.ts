import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Cluster } from '../../../test/harness/cluster.js'
import { ROOT } from '../../../test/harness/root.js'
import type { Running, System } from './system.js'

const REPLICAS = 3

/** Ours, as `npm start` starts it. */
export function kvorum(shards: number): System {
  return { missing: () => undefined, install: () => undefined, start: () => start(shards) }
}

async function start(shards: number): Promise<Running> {
  const cluster = await Cluster.start({ shards, replicas: REPLICAS })
  try {
    await cluster.settled()
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
    const pids = [cluster.orchestrator.pid, ...cluster.nodeProcesses().map(({ pid }) => pid)]
    return { addresses: [cluster.address], pids, version: `kvorum ${version}`, stop: () => cluster.dispose() }
  } catch (error) {
    await cluster.dispose()
    throw error
  }
}
