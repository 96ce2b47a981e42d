/** What is the same for every node of a cluster, on whatever machine. */
export interface NodeSettings {
  /** debug, info, warn or error. */
  readonly logLevel: string
  readonly valueBytesMax: number
}

/** As kvnode takes them. */
export function flagsOf({ logLevel, valueBytesMax }: NodeSettings): string[] {
  return ['--log-level', logLevel, '--value-max-bytes', `${valueBytesMax}`]
}
