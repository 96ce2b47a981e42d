// Machines of their own on one machine: network namespaces with a switch between them, which may be cut off, powered off and
// brought back. Only root on Linux can have them: where that does not work, a test says why it is skipped.
import { spawnSync } from 'node:child_process'
import { readdirSync, readlinkSync } from 'node:fs'
import { Program, signal } from './process.js'
import { until } from './wait.js'

/** A range for tests of networks (RFC 2544), of which each test run takes another part. */
const SUBNETS = 512
const HOLD_MS_MAX = 10_000

/**
 * A namespace lives as long as a process is in it. This one waits for the end of its input, which the kernel ends with us,
 * kill -9 included; with the last namespace go the switch and every cable. Nothing has a name that could stay behind.
 */
class Namespace {
  readonly #holder = new Program(['unshare', '--net', 'sh', '-c', 'echo held; read line', 'kvorum-test-host'], {
    input: true,
    detached: true,
  })

  async open(): Promise<this> {
    await this.#holder.line(/^held$/, HOLD_MS_MAX)
    this.ip('link', 'set', 'lo', 'up')
    return this
  }

  get pid(): number {
    return this.#holder.pid
  }

  enter(argv: readonly string[]): string[] {
    return ['nsenter', `--net=/proc/${this.pid}/ns/net`, '--', ...argv]
  }

  ip(...args: readonly string[]): void {
    run(this.enter(['ip', ...args]))
  }

  /** Whoever is in it, but for who holds it. */
  pids(): number[] {
    const own = netOf(this.pid)
    const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
    return all.map(Number).filter((pid) => pid !== this.pid && netOf(pid) === own)
  }

  async close(): Promise<void> {
    this.#holder.endInput()
    await this.#holder.ended
  }
}

/** A machine with an address, on the switch. */
export class Host {
  constructor(
    readonly name: string,
    readonly address: string,
    private readonly own: Namespace,
    private readonly lab: Namespace,
  ) {}

  /** A program on it. */
  start(argv: readonly string[]): Program {
    return new Program(this.own.enter(argv))
  }

  /** Pulls the cable: nothing that was sent arrives any more, and nobody is told. What runs on it goes on. */
  cutOff(): void {
    this.lab.ip('link', 'set', this.name, 'down')
  }

  connect(): void {
    this.lab.ip('link', 'set', this.name, 'up')
  }

  /** Everything on it is gone at once, and nobody is told: the cable is pulled first. */
  async powerOff(): Promise<void> {
    this.cutOff()
    await until(`nobody to run on ${this.name}`, () => {
      const left = this.own.pids()
      for (const pid of left) signal(pid, 'SIGKILL')
      return left.length === 0
    })
  }

  /** Whether anybody runs on it. */
  get isIdle(): boolean {
    return this.own.pids().length === 0
  }
}

/** Hosts and the switch between them, which this process is at as well. Whoever opens them closes them. */
export class Hosts {
  private constructor(
    readonly all: readonly Host[],
    private readonly namespaces: readonly Namespace[],
    /** This process's cable to the switch. */
    private readonly cable: string,
  ) {}

  static async open(names: readonly string[]): Promise<Hosts> {
    const opened: Namespace[] = []
    const namespace = async () => {
      const one = new Namespace()
      opened.push(one)
      return one.open()
    }
    try {
      const subnet = process.pid % SUBNETS
      const address = (at: number) => `198.${18 + Math.floor(subnet / 256)}.${subnet % 256}.${at}`
      const lab = await namespace()
      lab.ip('link', 'add', 'switch', 'type', 'bridge')
      lab.ip('link', 'set', 'switch', 'up')
      const ours = `kvorum${process.pid}`
      run(['ip', 'link', 'add', ours, 'type', 'veth', 'peer', 'name', 'tester', 'netns', `${lab.pid}`])
      plugIn(lab, 'tester')
      run(['ip', 'addr', 'add', `${address(1)}/24`, 'dev', ours])
      run(['ip', 'link', 'set', ours, 'up'])
      const hosts: Host[] = []
      for (const name of names) {
        const own = await namespace()
        lab.ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'cable', 'netns', `${own.pid}`)
        plugIn(lab, name)
        const host = new Host(name, address(hosts.length + 2), own, lab)
        own.ip('addr', 'add', `${host.address}/24`, 'dev', 'cable')
        own.ip('link', 'set', 'cable', 'up')
        hosts.push(host)
      }
      return new Hosts(hosts, opened, ours)
    } catch (error) {
      await closeAll(opened)
      throw error
    }
  }

  host(name: string): Host {
    const found = this.all.find((one) => one.name === name)
    if (found === undefined) throw new TypeError(`no host ${name}`)
    return found
  }

  /** Nobody may run on them any more. */
  async close(): Promise<void> {
    // By hand: the kernel takes it away with the namespace at its other end, but some time later, and the next ones have its name.
    try {
      run(['ip', 'link', 'del', this.cable])
    } finally {
      await closeAll(this.namespaces)
    }
  }
}

async function closeAll(namespaces: readonly Namespace[]): Promise<void> {
  await Promise.all(namespaces.map((one) => one.close()))
}

/** Why there are no hosts of one's own here; undefined when there are. Tries it. */
export async function whyNoHosts(): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'only Linux has network namespaces'
  if (process.getuid?.() !== 0) return 'network namespaces need root'
  try {
    const hosts = await Hosts.open(['probe'])
    await hosts.close()
    return undefined
  } catch (error) {
    return `network namespaces need iproute2 and their kernel modules: ${error instanceof Error ? error.message : error}`
  }
}

function plugIn(lab: Namespace, cable: string): void {
  lab.ip('link', 'set', cable, 'master', 'switch')
  lab.ip('link', 'set', cable, 'up')
}

function netOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`)
  } catch {
    return undefined
  }
}

function run([command = '', ...args]: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr.trim()}`)
}
