/** SFTP packets, made by hand. */
import { sshByte, sshString, sshUint32, sshUint64 } from '../../../../src/identity/ssh/wire.ts'
import { packet } from '../../../../src/protocols/ssh/taps/sftp/words.ts'

export function sftpPacket(type: number, ...fields: Buffer[]): Buffer {
  return sshString(Buffer.concat([sshByte(type), ...fields]))
}

const noAttributes = sshUint32(0)

export const ask = {
  init: sftpPacket(packet.init, sshUint32(3)),
  open: (id: number, path: string | Buffer, flags: number) =>
    sftpPacket(packet.open, sshUint32(id), sshString(path), sshUint32(flags), noAttributes),
  close: (id: number, handle: string) => sftpPacket(packet.close, sshUint32(id), sshString(handle)),
  read: (id: number, handle: string, offset: number, bytes = 32_768) =>
    sftpPacket(packet.read, sshUint32(id), sshString(handle), sshUint64(BigInt(offset)), sshUint32(bytes)),
  write: (id: number, handle: string, offset: number, data: Buffer) =>
    sftpPacket(packet.write, sshUint32(id), sshString(handle), sshUint64(BigInt(offset)), sshString(data)),
  /** Of one path, or one handle. */
  about: (type: number, id: number, ...texts: (string | Buffer)[]) =>
    sftpPacket(type, sshUint32(id), ...texts.map((text) => sshString(text))),
  extended: (id: number, name: string, ...fields: Buffer[]) =>
    sftpPacket(packet.extended, sshUint32(id), sshString(name), ...fields),
}

export const answer = {
  version: (version = 3) => sftpPacket(packet.version, sshUint32(version)),
  status: (id: number, code: number, message = '') =>
    sftpPacket(packet.status, sshUint32(id), sshUint32(code), sshString(message), sshString('')),
  handle: (id: number, handle: string) => sftpPacket(packet.handle, sshUint32(id), sshString(handle)),
  data: (id: number, data: Buffer) => sftpPacket(packet.data, sshUint32(id), sshString(data)),
  names: (id: number, ...names: string[]) =>
    sftpPacket(
      packet.name,
      sshUint32(id),
      sshUint32(names.length),
      ...names.flatMap((name) => [sshString(name), sshString(`-rw-r--r-- ${name}`), noAttributes]),
    ),
  attributes: (id: number) => sftpPacket(packet.attributes, sshUint32(id), noAttributes),
}

export type Direction = 'up' | 'down'
/** What passes, in order. */
export type Talk = readonly (readonly [Direction, Buffer])[]
export const up = (...packets: Buffer[]): readonly [Direction, Buffer] => ['up', Buffer.concat(packets)]
export const down = (...packets: Buffer[]): readonly [Direction, Buffer] => ['down', Buffer.concat(packets)]
