// A client of the compat service as somebody else would write it: from protos/kvstore.proto alone, by hand. It shares
// no line with Kvorum, so that a mistake in our generated code cannot hide itself.
import { Client, credentials, type ServiceError } from '@grpc/grpc-js'

const DEADLINE_MS = 10_000

export interface ValueReturn {
  readonly success: boolean
  readonly exists: boolean
  readonly data: string
}

export interface Status {
  readonly success: boolean
  readonly error: string
}

/** Protobuf fields of one flat message: field number -> its bytes, or its number. */
type Fields = Map<number, Buffer | number>

export class CompatClient {
  readonly #client: Client

  constructor(address: string) {
    this.#client = new Client(address, credentials.createInsecure())
  }

  async getRaw(key: string): Promise<ValueReturn> {
    const fields = await this.#call('/KVStore/Get', encode([key]))
    return { success: fields.get(1) === 1, exists: fields.get(2) === 1, data: text(fields.get(3)) }
  }

  async putRaw(key: string, value: string): Promise<Status> {
    return status(await this.#call('/KVStore/Put', encode([key, value])))
  }

  async deleteRaw(key: string): Promise<Status> {
    return status(await this.#call('/KVStore/Delete', encode([key])))
  }

  async get(key: string): Promise<string | null> {
    const found = await this.getRaw(key)
    if (!found.success) throw new Error(`get failed: ${found.data}`)
    return found.exists ? found.data : null
  }

  async put(key: string, value: string): Promise<void> {
    orThrow('put', await this.putRaw(key, value))
  }

  async delete(key: string): Promise<void> {
    orThrow('delete', await this.deleteRaw(key))
  }

  close(): void {
    this.#client.close()
  }

  #call(path: string, request: Buffer): Promise<Fields> {
    const deadline = Date.now() + DEADLINE_MS
    return new Promise((resolve, reject) => {
      const done = (error: ServiceError | null, answer?: Fields): void => {
        if (error !== null) reject(error)
        else resolve(answer ?? new Map())
      }
      this.#client.makeUnaryRequest(path, (bytes: Buffer) => bytes, decode, request, { deadline }, done)
    })
  }
}

function orThrow(verb: string, answer: Status): void {
  if (!answer.success) throw new Error(`${verb} failed: ${answer.error}`)
}

function status(fields: Fields): Status {
  return { success: fields.get(1) === 1, error: text(fields.get(2)) }
}

function text(field: Buffer | number | undefined): string {
  return Buffer.isBuffer(field) ? field.toString('utf8') : ''
}

/** Strings as fields 1, 2, ...: tag, length, bytes. An empty string is the default and is left out. */
function encode(strings: readonly string[]): Buffer {
  return Buffer.concat(
    strings.flatMap((value, index) => {
      const bytes = Buffer.from(value, 'utf8')
      return bytes.length === 0 ? [] : [Buffer.from([((index + 1) << 3) | 2]), varint(bytes.length), bytes]
    }),
  )
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Buffer.from([...bytes, rest])
    bytes.push((rest & 0x7f) | 0x80)
  }
}

/** Varints and length-delimited fields are all that the contract uses. */
function decode(message: Buffer): Fields {
  const fields: Fields = new Map()
  let at = 0
  const number = (): number => {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = message.readUInt8(at++)
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
  while (at < message.length) {
    const tag = number()
    const value = number()
    if ((tag & 7) === 0) {
      fields.set(tag >>> 3, value)
    } else {
      fields.set(tag >>> 3, message.subarray(at, at + value))
      at += value
    }
  }
  return fields
}
