import type { ConfigPath, Finding } from './problems.ts'
import type { Salvaged } from './salvage.ts'
import type { InFile } from './schema-resources.ts'

type PostgresInFile = InFile<'postgres'>
type RoleInFile = PostgresInFile['roles'][string]

/** How roles of PostgreSQL log in at the target: in exactly one of the two ways. */
export function databaseUserFindings({ resources }: Salvaged): readonly Finding[] {
  return Object.entries(resources).flatMap(([name, resource]) =>
    resource.kind === 'postgres'
      ? Object.entries(resource.roles).flatMap(([role, settings]) =>
          roleFindings(['resources', name, 'roles', role], settings, resource),
        )
      : [],
  )
}

function roleFindings(path: ConfigPath, role: RoleInFile, { logins }: PostgresInFile): readonly Finding[] {
  const { login, password, user } = role
  if (user === undefined) return login === undefined ? [waysFinding(path, 'got neither')] : []
  return [
    ...(login === undefined ? [] : [waysFinding(path, 'got both')]),
    ...(password === undefined
      ? []
      : [
          {
            path: [...path, 'password'],
            message: 'it belongs to `login`; a user that is made for each grant has a password that nobody sees',
            hint: 'The administrator’s goes to `user.administrator.password`.',
          },
        ]),
    ...(logins.includes('scram-sha-256')
      ? []
      : [
          {
            path: [...path, 'user'],
            message: 'users that are made for each grant log in by SCRAM, which `logins` of this resource leaves out',
            hint: 'Add `scram-sha-256` to `logins`.',
          },
        ]),
  ]
}

function waysFinding(path: ConfigPath, message: string): Finding {
  const hint = '`login` is one user for everybody; with `user` each grant gets a user of its own.'
  return { path, expected: 'either `login` or `user`', message, hint, at: 'key' }
}
