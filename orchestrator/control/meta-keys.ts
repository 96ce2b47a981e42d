/** What a key of meta holds. */
export interface Stored {
  /** Undefined when the key is absent. */
  readonly value: Uint8Array | undefined
  /** 0 when it is absent and was never written. */
  readonly version: bigint
}

/** The keys of meta, for those who need not know how they are reached. Calls reject when `signal` is aborted. */
export interface MetaKeys {
  read(key: string, signal: AbortSignal): Promise<Stored>
  /** Writes over that version of the key. Undefined when another write came first, else the new version. */
  replace(key: string, value: Uint8Array, version: bigint, signal: AbortSignal): Promise<bigint | undefined>
  remove(key: string, signal: AbortSignal): Promise<void>
}
