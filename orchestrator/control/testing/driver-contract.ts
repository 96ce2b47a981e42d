import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { NodeStatus } from '../../wire/node-admin.js'
import { DataDirectory, type NodePlace, nodeName } from '../data-directory.js'
import { type Driver, type Exit, isAt, type NodeProcess, type NodeSpec } from '../drivers/driver.js'
import { wireLinks } from '../links.js'

/** A driver, and what it needs to be there. */
export interface Subject {
  readonly driver: Driver
  /** After the driver's own. */
  close(): Promise<void>
}

/** What every driver promises that starts processes. It has its nodes below the folder, which is on this machine for once. */
export function driverContract(name: string, make: (folder: string) => Promise<Subject>): void {
  describe(name, () => {
    const bench = new Bench()
    beforeEach(() => bench.open(make))
    afterEach(() => bench.close())
    describe('has directories', () => directoryTests(bench))
    describe('finds', () => findTests(bench))
    describe('starts', () => startTests(bench))
  })
}

/** A directory for one node, and the processes that a test starts on it. */
class Bench {
  #folder = ''
  #subject: Subject | undefined
  #machine = ''
  #address = ''
  #processes: NodeProcess[] = []

  async open(make: (folder: string) => Promise<Subject>): Promise<void> {
    this.#folder = mkdtempSync(join(tmpdir(), 'kvorum-driver-'))
    this.#subject = await make(this.#folder)
    const [machine] = await this.driver.machines(1)
    this.#machine = machine?.name ?? ''
    this.#address = await this.freeAddress()
    this.#processes = []
  }

  async close(): Promise<void> {
    for (const process of this.#processes) process.signal('SIGKILL')
    await Promise.all(this.#processes.map(({ exited }) => exited))
    await this.driver.close()
    await this.#subject?.close()
    rmSync(this.#folder, { recursive: true })
  }

  get driver(): Driver {
    if (this.#subject === undefined) throw new TypeError('not open')
    return this.#subject.driver
  }

  get address(): string {
    return this.#address
  }

  freeAddress(): Promise<string> {
    return this.driver.freeAddress(this.#machine, { shard: 1, index: 1 })
  }

  get spec(): NodeSpec {
    return this.specOf({ shard: 1, index: 1 })
  }

  specOf(place: NodePlace): NodeSpec {
    const machine = this.#machine
    const directory = this.driver.directoryOf(place, machine, new DataDirectory(this.#folder))
    return { ...place, name: nodeName(place), clusterId: 'c1', machine, directory, ofNodes: 3 }
  }

  /** Where it really is. */
  pathOf(place: NodePlace): string {
    return join(this.#folder, nodeName(place))
  }

  async spawn(spec = this.spec, address = this.#address): Promise<NodeProcess> {
    const process = await this.driver.spawn(spec, address, [])
    this.#processes.push(process)
    return process
  }

  /** Starts the node, and waits until it answers. */
  async run(): Promise<{ process: NodeProcess; status: NodeStatus }> {
    const process = await this.spawn()
    const ended = process.exited.then((exit) => {
      throw new Error(`it ended: ${JSON.stringify(exit)}`)
    })
    return { process, status: await Promise.race([this.#firstStatus(), ended]) }
  }

  async #firstStatus(): Promise<NodeStatus> {
    for (;;) {
      const link = wireLinks().node(this.#address, { cluster: this.spec.clusterId, shard: this.spec.shard })
      try {
        return await link.status({ deadlineMs: 1_000 })
      } catch {
        // Nobody listens yet.
      } finally {
        link.close()
      }
    }
  }
}

function directoryTests(bench: Bench): void {
  test('that are there from the start of a node until they are removed, with the group’s if that is empty', async () => {
    const { driver, spec } = bench
    expect(await driver.holds(spec)).toBe(false)
    const { process } = await bench.run()
    expect(await driver.holds(spec)).toBe(true)
    process.signal('SIGKILL')
    await process.exited
    await driver.remove(spec)
    expect(await driver.holds(spec)).toBe(false)
    expect(existsSync(dirname(bench.pathOf(spec)))).toBe(false)
    await driver.remove(spec)
  })

  test('each node its own', async () => {
    const { driver, spec } = bench
    const { status } = await bench.run()
    expect(isAt(status.dataDir, spec)).toBe(true)
    for (const place of [
      { shard: 1, index: 11 },
      { shard: 1, index: 2 },
      { shard: 11, index: 1 },
    ]) {
      expect(isAt(status.dataDir, bench.specOf(place))).toBe(false)
      expect(await driver.holds(bench.specOf(place))).toBe(false)
    }
  })
}

function findTests(bench: Bench): void {
  test('nobody where nothing runs', async () => {
    expect(await bench.driver.find(bench.spec, { address: bench.address })).toBeUndefined()
  })

  test.each([
    ['by its pid', true],
    ['by its address, when its pid was not written down', false],
  ])('a node that runs %s, and can end it', async (_, knowsPid) => {
    const { process } = await bench.run()
    const last = { address: bench.address, pid: knowsPid ? process.pid : undefined }
    const found = await bench.driver.find(bench.spec, last)
    expect(found).toMatchObject({ pid: process.pid, adopted: true })
    found?.signal('SIGTERM')
    expect(await process.exited).toMatchObject({ code: 0 })
    expect(await found?.exited).toBeDefined()
    // A process that is gone takes no signals, and whoever has its pid now must not get them.
    found?.signal('SIGKILL')
  })

  test('a node, and notices its end although it is nobody’s child', async () => {
    const { process } = await bench.run()
    const found = await bench.driver.find(bench.spec, { address: bench.address, pid: process.pid })
    process.signal('SIGKILL')
    await process.exited
    found?.check()
    expect(await found?.exited).toBeDefined()
  })

  test('a node, and leaves it alone when it is forgotten', async () => {
    const { process } = await bench.run()
    const found = await bench.driver.find(bench.spec, { address: bench.address, pid: process.pid })
    found?.forget()
    process.signal('SIGTERM')
    expect(await process.exited).toMatchObject({ code: 0 })
  })

  test('nobody by a pid that another process has now', async () => {
    expect(await bench.driver.find(bench.spec, { address: bench.address, pid: process.pid })).toBeUndefined()
  })

  test('nobody when a node of another directory or shard answers', async () => {
    await bench.run()
    for (const place of [
      { shard: 1, index: 2 },
      { shard: 2, index: 1 },
    ]) {
      expect(await bench.driver.find(bench.specOf(place), { address: bench.address })).toBeUndefined()
    }
  })

  test('nobody of another cluster: it may also refuse to look', async () => {
    await bench.run()
    const found = bench.driver.find({ ...bench.spec, clusterId: 'c2' }, { address: bench.address })
    expect(await found.catch(() => undefined)).toBeUndefined()
  })
}

function startTests(bench: Bench): void {
  test('the node that was meant', async () => {
    const { process, status } = await bench.run()
    expect(process.adopted).toBe(false)
    const { address, spec } = bench
    expect(status).toMatchObject({ clusterId: 'c1', shard: 1, address, pid: process.pid, dataDir: bench.pathOf(spec) })
  })

  test('no two nodes on one directory', async () => {
    const first = await bench.run()
    const second = await bench.spawn(bench.spec, await bench.freeAddress())
    const exit = await second.exited
    expect(exit.code).toBe(73)
    expect(exit.lastWords).toContain(`${first.process.pid}`)
  })

  test('no node on an address that is in use', async () => {
    const server = await listenOn(bench.address)
    const process = await bench.spawn()
    expect((await process.exited).code).toBe(69)
    server.close()
  })

  test('no node on the directory of another shard', async () => {
    const first = await bench.run()
    first.process.signal('SIGTERM')
    await first.process.exited
    const other = { shard: 2, index: 1 }
    mkdirSync(dirname(bench.pathOf(other)))
    renameSync(bench.pathOf(bench.spec), bench.pathOf(other))
    const second = await bench.spawn(bench.specOf(other))
    expect((await second.exited).code).toBe(76)
  })

  test.each<['SIGTERM' | 'SIGKILL', Exit]>([
    ['SIGTERM', { code: 0 }],
    ['SIGKILL', { signal: 'SIGKILL' }],
  ])('a node that %s ends', async (signal, exit) => {
    const { process } = await bench.run()
    process.signal(signal)
    expect(await process.exited).toMatchObject(exit)
  })
}

function listenOn(address: string): Promise<Server> {
  const [host = '', port = ''] = address.split(':')
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(Number(port), host, () => resolve(server))
  })
}
