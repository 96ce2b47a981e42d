import { type ServiceError, status } from '@grpc/grpc-js'

// What gRPC finds by itself it says in words for its own developers. Here is what a person is told instead.

/** What is told of a port that answers, and not in HTTP/2. */
export const NO_GRPC =
  'does not speak gRPC: it may be the port of HTTP/JSON (--http-port, 7001 by default); clients and --join take the one of --port, 7000 by default'

const WHY: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there',
  ENOTFOUND: 'no such host is known',
  EAI_AGAIN: 'no such host is known',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the host cannot be reached',
  ETIMEDOUT: 'the host says nothing',
  ECONNRESET: 'it hung up',
  EPIPE: 'it hung up',
}

/** What the code of a failed connection means; undefined for one that is not known here. */
export function whyNoConnection(code: string): string | undefined {
  return WHY[code]
}

/** A call that failed without an error of ours: who was asked, for how long, and what became of it. */
export function plainWords(failure: ServiceError, address: string, afterMs: number | undefined): string {
  const said = failure.details || failure.message
  // Node.js's HTTP/2 has no other word for an answer that is none. For words it is good enough, as below.
  if (said.includes('Protocol error')) return `${address} ${NO_GRPC}`
  switch (failure.code) {
    case status.UNAVAILABLE:
      return `no connection to ${address}, or it broke${inBrackets(whyIn(said))}`
    case status.DEADLINE_EXCEEDED:
      return `no answer from ${address}${afterMs === undefined ? '' : ` within ${Math.round(afterMs)} ms`}`
    case status.CANCELLED:
      return `the call to ${address} was given up here`
    case status.UNIMPLEMENTED:
      return `${address} does not know this call: it is another version of Kvorum, or something else`
    case status.RESOURCE_EXHAUSTED:
      return `the message was more than ${address} takes, or gives, at once`
    default:
      return `${address} failed: ${said}`
  }
}

/** The system's code lies only in the text. For words it is good enough; nothing is decided by it. */
function whyIn(text: string): string | undefined {
  const code = Object.keys(WHY).find((one) => text.includes(one))
  return code === undefined ? undefined : whyNoConnection(code)
}

function inBrackets(text: string | undefined): string {
  return text === undefined ? '' : ` (${text})`
}
