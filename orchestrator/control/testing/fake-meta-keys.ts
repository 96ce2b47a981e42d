import type { MetaKeys, Stored } from '../meta-keys.js'

/** Meta's keys. `cut` is called before each write; what it throws is thrown to the writer, after the write if it says so. */
export class FakeMetaKeys implements MetaKeys {
  readonly rows = new Map<string, { value: Uint8Array; version: bigint }>()
  cut: (what: string) => 'before' | 'after' | undefined = () => undefined

  async read(key: string): Promise<Stored> {
    return this.rows.get(key) ?? { value: undefined, version: 0n }
  }

  async replace(key: string, value: Uint8Array, version: bigint): Promise<bigint | undefined> {
    const how = this.cut(`replace ${key}`)
    if (how === 'before') throw new Error('cut off')
    if ((this.rows.get(key)?.version ?? 0n) !== version) return undefined
    this.rows.set(key, { value, version: version + 1n })
    if (how === 'after') throw new Error('cut off')
    return version + 1n
  }

  async remove(key: string): Promise<void> {
    const how = this.cut(`remove ${key}`)
    if (how === 'before') throw new Error('cut off')
    this.rows.delete(key)
    if (how === 'after') throw new Error('cut off')
  }
}
