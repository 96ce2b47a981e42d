// The house rules as data: who may import whom, and where clock, chance and the operating system may be touched.
// DESIGN section 3 gives the arrows. Change a line here only together with the reason for it.

/** Rooms that carry no decision of their own: everybody may use them. */
const BASE = ['core', 'errors', 'telemetry'] as const

/** TypeScript: a room of orchestrator/ -> the rooms that it may import besides itself. */
export const TS_ARROWS: Readonly<Record<string, readonly string[]>> = {
  core: [],
  errors: [],
  telemetry: ['core', 'errors'],
  config: ['core', 'errors'],
  wire: [...BASE],
  store: [...BASE, 'wire'],
  client: [...BASE, 'wire', 'store'],
  gateway: [...BASE, 'wire', 'store'],
  // HTTP/JSON from the same Store; of wire it knows what an address and an orchestrator's report are.
  http: [...BASE, 'wire'],
  control: [...BASE, 'wire', 'config'],
  // The hand of control on another machine: it starts nodes as the local driver does.
  agent: [...BASE, 'wire', 'control'],
  cli: [...BASE, 'wire', 'config', 'client', 'agent'],
  // What `import` gives to users of the package.
  index: ['client', 'server'],
  // The composition root: the only place that wires rooms together.
  server: [...BASE, 'wire', 'store', 'gateway', 'http', 'control', 'config'],
  // Its process: command line, signals, words.
  main: [...BASE, 'wire', 'control', 'config', 'cli', 'server'],
}

/** Go: a package of node-go/ (by its first folder) -> the packages that it may import besides itself. */
export const GO_ARROWS: Readonly<Record<string, readonly string[]>> = {
  gen: ['gen'],
  kverr: ['gen'],
  clock: [],
  vfs: [],
  stall: ['clock'],
  // Only in the node that is built for chaos runs.
  faults: ['vfs', 'clock'],
  telemetry: ['kverr', 'clock'],
  engine: ['vfs', 'clock', 'kverr'],
  transport: ['clock', 'kverr'],
  raftlog: ['clock', 'vfs', 'stall', 'kverr'],
  fsm: ['engine', 'gen', 'kverr'],
  snapshot: ['fsm', 'engine', 'vfs', 'clock', 'kverr', 'gen'],
  replica: ['fsm', 'snapshot', 'raftlog', 'transport', 'engine', 'gen', 'clock', 'vfs', 'stall', 'kverr', 'telemetry'],
  move: ['fsm', 'engine', 'gen', 'clock', 'kverr'],
  // Tests only.
  simulation: ['fsm', 'engine', 'vfs', 'gen'],
  watch: ['fsm', 'clock'],
  server: ['move', 'watch', 'replica', 'fsm', 'engine', 'gen', 'transport', 'clock', 'kverr', 'telemetry'],
  // The node's composition root.
  cmd: ['*'],
}

/** Packages from npm that belong to one room, so that replacing one touches one room. */
export const PACKAGE_ROOMS: Readonly<Record<string, readonly string[]>> = {
  '@grpc/grpc-js': ['wire'],
  '@bufbuild/protobuf': ['wire'],
  level: ['control', 'agent'],
  execa: ['control'],
  zod: ['config', 'control', 'http'],
  commander: ['cli'],
  'cli-table3': ['cli'],
  picocolors: ['cli', 'telemetry'],
  pino: ['telemetry'],
}

/** Modules of Node.js that reach the operating system. `core` and `errors` stay pure; what is not listed is free. */
export const BUILTIN_ROOMS: Readonly<Record<string, readonly string[]>> = {
  'node:fs': ['control', 'agent', 'config', 'cli', 'main'],
  'node:fs/promises': ['control', 'config', 'cli', 'main'],
  'node:os': ['control', 'agent', 'config', 'cli', 'server'],
  'node:http': ['http'],
  'node:net': ['control', 'config', 'wire', 'main'],
  // cli: whoever ends a fault outlives the command that began it.
  'node:child_process': ['control', 'cli'],
  'node:timers': ['core'],
  'node:timers/promises': ['core'],
  'node:perf_hooks': ['core'],
}

export interface Restriction {
  /** Matched against code with comments and strings blanked out. */
  readonly pattern: RegExp
  readonly says: string
  /** Path prefixes where it is allowed. */
  readonly allowed: readonly string[]
}

/** Holds for orchestrator/: production code takes time and chance as arguments, so that tests can give them. */
export const TS_RESTRICTIONS: readonly Restriction[] = [
  {
    pattern: /\bDate\.now\(|\bnew Date\(|\bperformance\.now\(|\bprocess\.hrtime\b/,
    says: 'reads the clock: take core/clock',
    allowed: ['orchestrator/core/clock.ts'],
  },
  {
    pattern: /(?<![\w.])(?:setTimeout|setInterval)\(|\bglobalThis\.set(?:Timeout|Interval)\b/,
    says: 'starts a timer: take core/clock',
    allowed: ['orchestrator/core/clock.ts'],
  },
  {
    pattern: /\bMath\.random\(|\brandom(?:UUID|Bytes|Int)\(/,
    says: 'takes chance: take core/rng',
    allowed: ['orchestrator/core/rng.ts'],
  },
  {
    pattern: /\bprocess\.env\b/,
    says: 'reads the environment: take config',
    allowed: ['orchestrator/config/', 'orchestrator/main.ts', 'orchestrator/cli/'],
  },
]

/** Holds for Go, tests left out unless `tests` says otherwise. Programs of chaos runs break and measure: they are no product. */
export const GO_RESTRICTIONS: readonly (Restriction & { readonly tests?: true })[] = [
  {
    pattern: /\btime\.(?:Now|Since|Until|After|AfterFunc|NewTimer|NewTicker|Tick)\(/,
    says: 'reads the clock: take kvorum/node/clock',
    allowed: ['node-go/clock/', 'test/chaos/'],
  },
  {
    pattern: /\btime\.Sleep\(/,
    says: 'sleeps: wait for an index or an event',
    allowed: ['node-go/clock/'],
    tests: true,
  },
  {
    pattern:
      /\bos\.(?:Open|OpenFile|Create|CreateTemp|Rename|Remove|RemoveAll|Mkdir|MkdirAll|ReadFile|WriteFile|ReadDir|Stat|Lstat|Truncate)\(/,
    says: 'touches files: take kvorum/node/vfs',
    allowed: ['node-go/vfs/', 'node-go/cmd/', 'test/chaos/'],
  },
  {
    pattern: /\brand\.(?:Int|Intn|IntN|Uint64|Float64|Read|Text|Reader|Perm|Shuffle)\b/,
    says: 'takes chance: let the caller give it',
    allowed: ['node-go/cmd/', 'node-go/clock/', 'test/chaos/'],
  },
]

/** Hosts that committed text may name. A registry or a mirror is never one of them. */
export const HOSTS: ReadonlySet<string> = new Set([
  'localhost',
  '127.0.0.1',
  'github.com',
  'keepachangelog.com',
  'semver.org',
  'biomejs.dev',
  'json.schemastore.org',
  'unpkg.com',
  // The name space of SVG; nobody goes there.
  'www.w3.org',
])

/** A path of one person's machine. */
export const MACHINE_PATH = /(?:^|[\s"'`(=:])\/(?:home|root|Users|work)\//

export const LINES_PER_FILE_MAX = 400
export const LINES_PER_FUNCTION_MAX = 70
