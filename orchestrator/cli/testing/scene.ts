import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FakeCluster } from '../../client/testing/fake-cluster.js'
import type { Context } from '../context.js'
import { runCommand } from '../program.js'
import { servePages } from './pages.js'
import { plainContext } from './plain-context.js'

export interface Said {
  readonly code: number
  readonly out: string
  readonly warned: string
}

/** A cluster, a folder, and the command line between them. */
export class Scene {
  private constructor(
    readonly cluster: FakeCluster,
    readonly folder: string,
  ) {}

  static async open(id = 'c1'): Promise<Scene> {
    const cluster = await FakeCluster.start({ id })
    servePages(cluster)
    return new Scene(cluster, mkdtempSync(join(tmpdir(), 'kvorum-bulk-')))
  }

  path(name: string): string {
    return join(this.folder, name)
  }

  file(name: string, text: string | Buffer): string {
    writeFileSync(this.path(name), text)
    return this.path(name)
  }

  read(name: string): string {
    return readFileSync(this.path(name), 'utf8')
  }

  run(...args: string[]): Promise<Said> {
    return this.runWith({}, ...args)
  }

  async runWith(surroundings: Partial<Context>, ...args: string[]): Promise<Said> {
    const context = plainContext(surroundings)
    const code = await runCommand([...args, '--address', this.cluster.gateway.address], {}, context)
    return { code, ...context.said }
  }

  /** What the cluster holds, as texts. */
  get rows(): Record<string, string> {
    const named = [...this.cluster.rows].map(([name, { value }]) => [name, Buffer.from(value).toString()] as const)
    return Object.fromEntries(named)
  }

  async close(): Promise<void> {
    await this.cluster.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}
