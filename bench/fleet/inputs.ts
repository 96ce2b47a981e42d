// What the model is told: what may be chosen, and what was measured elsewhere in this repository.

/** What may be chosen on the command line. */
export interface Fleet {
  readonly shards: number
  readonly replicas: number
  readonly keys: number
  readonly keyBytes: number
  readonly valueBytes: number
  readonly machines: number
  readonly racks: number
  /** Of one machine. */
  readonly cores: number
  readonly diskMbS: number
  readonly netGbit: number
  readonly gateways: number
  /** Clients that follow the map themselves (`direct`), over all gateways. */
  readonly clients: number
  /** Over how long the nodes of a rack that restarts come back. */
  readonly restartS: number
  readonly seed: number
}

export const DEFAULTS: Fleet = Object.freeze({
  shards: 1000,
  replicas: 3,
  keys: 1e10,
  keyBytes: 20,
  valueBytes: 256,
  machines: 100,
  racks: 10,
  cores: 16,
  diskMbS: 500,
  netGbit: 10,
  gateways: 100,
  clients: 10_000,
  restartS: 60,
  seed: 1,
})

interface Known {
  readonly value: number
  readonly unit: string
  readonly from: string
}

function known(value: number, unit: string, from: string): Known {
  return Object.freeze({ value, unit, from })
}

const ENGINE = 'node-go/engine/DESIGN.md, Figures'
const BENCH = 'bench/README.md, Figures'
const RAFT = 'node-go/replica/raft.go'
const SWEEP = 'bench/figures/scale.json'

/** Figures of this repository. Those that were measured are of a machine of 2 cores; the others are what its code says. */
export const KNOWN = Object.freeze({
  heapPerKey: known(65, 'bytes, a key of 20 bytes included', ENGINE),
  collector: known(1.5, 'heap, of what lives', 'node-go/cmd/kvnode/main.go: gcPercent 50'),
  rssPerKey: known(136, 'bytes of RSS under load', `${SWEEP}: keys, from 500,000 to 2,000,000`),
  nodeRss: known(18 * 2 ** 20, 'bytes, an idle node', BENCH),
  recordHeader: known(36, 'bytes of a record on disk', 'node-go/engine/bitcask/format_record.go'),
  hintHeader: known(16, 'bytes of a hint', 'node-go/engine/bitcask/format_hint.go'),
  openCpu: known(1.05e-6, 's of CPU a key, with hints', ENGINE),
  streamOut: known(131, 'MB/s, one stream', ENGINE),
  restore: known(88, 'MB/s, with fsync', ENGINE),
  importRate: known(32 * 1.048576, 'MB/s, one move', 'node-go/move/importer.go'),
  moveRecords: known(60_000, 'records/s, one move', 'node-go/move/DESIGN.md: 100,000 in 1.3 to 2.3 s'),
  exportBytes: known(64 * 2 ** 20, 'bytes of changed keys while a move copies', 'node-go/fsm/export.go'),
  exportedKey: known(64, 'bytes of each beside its own', 'node-go/fsm/export.go'),
  idleCpu: known(0.048 / 12, 'cores, an idle node', BENCH),
  heartbeat: known(0.0375, 's, leader to follower (1/20 to 1/10 of 500 ms)', RAFT),
  commitWord: known(0.3, 's, leader to follower (once to twice 200 ms)', RAFT),
  silence: known(500, 'ms before a follower campaigns, at least', RAFT),
  failover: known(710, 'ms without service, the longest after SIGSTOP', BENCH),
  startTimeout: known(60, 's, default', 'orchestrator/config/schema.ts'),
  metaRound: known(10, 'ms, a map written in meta: read, read, put, a connection each', 'assumed; a lone put is 0.9'),
  lanes: known(192, 'lanes of a node, at most', 'node-go/server/DESIGN.md'),
  gatewayStreams: known(256, 'Batch streams of a gateway, at most', 'orchestrator/gateway/kv.ts'),
  putAlone: known(1011, 'us of nodes’ CPU, a put alone in its message', `${SWEEP}: callers, 1`),
  putGathered: known(85, 'us of nodes’ CPU, a put of 64 callers', `${SWEEP}: callers, 64`),
} satisfies Record<string, Known>)

/** Keys of one partition: crc16 spreads them evenly, unless hash tags gather them. */
export function keysPerPartition({ keys }: Fleet, partitions: number): number {
  return keys / partitions
}

/** What one key takes on disk and in a stream, without what is dead. */
export function recordBytes({ keyBytes, valueBytes }: Fleet): number {
  return KNOWN.recordHeader.value + keyBytes + valueBytes
}
