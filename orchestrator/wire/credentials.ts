import type { Socket } from 'node:net'
import { CallCredentials, ChannelCredentials, type experimental } from '@grpc/grpc-js'

type SecureConnector = experimental.SecureConnector

/**
 * Plain connections, like grpc-js's own createInsecure, but for one thing: a client that is closed while it connects hangs
 * up. grpc-js forgets such a connection and leaves it open for as long as the peer says nothing, and a stopped process
 * says nothing for hours: each attempt to reach it would leak a socket. TLS credentials will need the same.
 */
export class PlainCredentials extends ChannelCredentials {
  override compose(): ChannelCredentials {
    throw new TypeError('plain connections carry no call credentials')
  }

  override _isSecure(): boolean {
    return false
  }

  override _equals(other: ChannelCredentials): boolean {
    return other === this
  }

  override _createSecureConnector(): SecureConnector {
    return new PlainConnector()
  }
}

class PlainConnector implements SecureConnector {
  readonly #sockets = new Set<Socket>()
  readonly #callCredentials = CallCredentials.createEmpty()
  #destroyed = false

  connect(socket: Socket): Promise<experimental.SecureConnectResult> {
    if (this.#destroyed) {
      socket.destroy()
      return Promise.reject(new Error('the client was closed'))
    }
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    return Promise.resolve({ socket, secure: false })
  }

  waitForReady(): Promise<void> {
    return Promise.resolve()
  }

  getCallCredentials(): CallCredentials {
    return this.#callCredentials
  }

  /** The client is gone. What the peer has spoken on is a session by now, which grpc-js ends in order. */
  destroy(): void {
    this.#destroyed = true
    for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy()
  }
}
