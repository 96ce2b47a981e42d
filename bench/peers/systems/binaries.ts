// The peers' servers as programs: built from their Go modules, or the system's.
import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { ROOT } from '../../../test/harness/root.js'

/** The Go module that pins the servers' versions. It builds nothing of ours. */
const MODULE = join(ROOT, 'bench/peers/servers')
const BUILD = ['build', '-trimpath', '-o']

/** The names of the servers that are built, and the packages that their main functions are in. */
const PACKAGES = {
  etcd: 'go.etcd.io/etcd/server/v3',
  'nats-server': 'github.com/nats-io/nats-server/v2',
} as const

export type GoServer = keyof typeof PACKAGES

/** Where the program is or will be. The version is in its name, so that another one is built when that changes. */
export function goServer(name: GoServer): string {
  return join(ROOT, 'dist/bin/peers', `${name}-${pinned(name)}`)
}

export function missingGoServer(name: GoServer): string | undefined {
  return existsSync(goServer(name)) ? undefined : `built from its Go module by: npm run bench:peers -- --install`
}

function pinned(name: GoServer): string {
  const text = readFileSync(join(MODULE, 'go.mod'), 'utf8')
  const line = text.split('\n').find((one) => one.trim().startsWith(`${PACKAGES[name]} v`))
  const version = line?.trim().split(' ')[1]
  if (version === undefined) throw new Error(`${PACKAGES[name]} is not in ${MODULE}/go.mod`)
  return version
}

/** Takes minutes the first time. What it says goes to stderr. */
export function buildGoServer(name: GoServer, tell: (what: string) => void): void {
  tell(`building ${name} from its Go module, which takes minutes the first time`)
  const argv = [...BUILD, goServer(name), PACKAGES[name]]
  run('go', argv, { cwd: MODULE, env: { ...process.env, CGO_ENABLED: '0' } })
}

const REDIS = 'redis-server'

export function missingRedis(): string | undefined {
  const [server, cli] = [inPath(REDIS), inPath('redis-cli')]
  return server && cli ? undefined : 'apt-get install redis-server (or: npm run bench:peers -- --install)'
}

/** Debian's package also starts a service; it is stopped, as nobody asked for one. */
export function installRedis(): void {
  if (process.getuid?.() !== 0 || !inPath('apt-get')) throw new Error(`redis is missing: ${missingRedis()}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  run('apt-get', ['install', '-y', '--no-install-recommends', REDIS], { env })
  if (existsSync('/run/systemd/system')) run('systemctl', ['disable', '--now', REDIS], { env })
  else spawnSync('service', [REDIS, 'stop'], { stdio: ['ignore', 2, 2] })
}

function inPath(program: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => isProgram(join(folder, program)))
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function run(program: string, argv: readonly string[], options: { cwd?: string; env: NodeJS.ProcessEnv }): void {
  const { status, signal, error } = spawnSync(program, argv, { ...options, stdio: ['ignore', 2, 2] })
  if (error !== undefined && 'code' in error && error.code === 'ENOENT') {
    throw new Error(`no ${program} was found in PATH, and it is needed to install this`)
  }
  const why = error?.message ?? (signal === null ? `exit code ${status}` : `ended by ${signal}`)
  if (status !== 0) throw new Error(`${program} ${argv[0]} failed: ${why}`)
}
