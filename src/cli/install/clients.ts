/**
 * The programs that can be given this memory, and where each keeps its list of MCP servers. One row a client: the file,
 * the format, the section, the shape of an entry. The files are the ones their makers document; a client that moves its
 * file needs a change of its row and nothing else.
 */
import { existsSync } from 'node:fs'
import path from 'node:path'
import type { Json } from './json-edit.ts'

export type Scope = 'user' | 'project'

/** Where to look: a home directory, and the folder of a project. */
export interface Place {
  readonly home: string
  readonly project: string
  readonly platform: NodeJS.Platform
  readonly env: Readonly<Record<string, string | undefined>>
}

/** How the client is told to start us. */
export interface Launch {
  readonly command: string
  readonly args: readonly string[]
  /** Who the client is: in its environment, because arguments can be read by everyone on the machine. */
  readonly token?: string
}

export interface Client {
  readonly name: string
  readonly title: string
  readonly format: 'json' | 'toml'
  /** Name of the table of servers, as the file has it. */
  readonly section: string
  /** undefined where the client knows no such scope. */
  file(place: Place, scope: Scope): string | undefined
  entry(launch: Launch): { readonly [key: string]: Json }
}

/** The name under which we stand in the list. */
export const ENTRY_NAME = 'chrysalis'

const variablesOf = ({ token }: Launch) => (token === undefined ? undefined : { CHRYSALIS_TOKEN: token })

function plain(launch: Launch): { readonly [key: string]: Json } {
  const env = variablesOf(launch)
  const { command, args } = launch
  return { command, args, ...(env === undefined ? {} : { env }) }
}

const stdio = (launch: Launch) => ({ type: 'stdio', ...plain(launch) })

export const CLIENTS: readonly Client[] = [
  {
    name: 'claude-code',
    title: 'Claude Code',
    format: 'json',
    section: 'mcpServers',
    file: (place, scope) => (scope === 'project' ? inProject(place, '.mcp.json') : inHome(place, '.claude.json')),
    entry: stdio
  },
  {
    name: 'claude-desktop',
    title: 'Claude Desktop',
    format: 'json',
    section: 'mcpServers',
    file: (place, scope) => userOnly(scope, path.join(applications(place), 'Claude', 'claude_desktop_config.json')),
    entry: plain
  },
  {
    name: 'cursor',
    title: 'Cursor',
    format: 'json',
    section: 'mcpServers',
    file: (place, scope) => either(place, scope, path.join('.cursor', 'mcp.json')),
    entry: plain
  },
  {
    name: 'vscode',
    title: 'VS Code',
    format: 'json',
    section: 'servers',
    file: (place, scope) =>
      scope === 'project'
        ? inProject(place, path.join('.vscode', 'mcp.json'))
        : path.join(applications(place), 'Code', 'User', 'mcp.json'),
    entry: stdio
  },
  {
    name: 'codex',
    title: 'Codex',
    format: 'toml',
    section: 'mcp_servers',
    file: (place, scope) =>
      userOnly(scope, path.join(place.env['CODEX_HOME'] ?? path.join(place.home, '.codex'), 'config.toml')),
    entry: plain
  },
  {
    name: 'gemini',
    title: 'Gemini CLI',
    format: 'json',
    section: 'mcpServers',
    file: (place, scope) => either(place, scope, path.join('.gemini', 'settings.json')),
    entry: plain
  },
  {
    name: 'windsurf',
    title: 'Windsurf',
    format: 'json',
    section: 'mcpServers',
    file: (place, scope) => userOnly(scope, inHome(place, path.join('.codeium', 'windsurf', 'mcp_config.json'))),
    entry: plain
  },
  {
    name: 'zed',
    title: 'Zed',
    format: 'json',
    section: 'context_servers',
    file: (place, scope) =>
      scope === 'project'
        ? inProject(place, path.join('.zed', 'settings.json'))
        : path.join(place.platform === 'win32' ? applications(place) : dotConfig(place), 'zed', 'settings.json'),
    // Versions that do not ask for the source any more read past it.
    entry: (launch) => {
      const { env = {}, ...rest } = plain(launch)
      return { source: 'custom', ...rest, env }
    }
  },
  {
    name: 'opencode',
    title: 'opencode',
    format: 'json',
    section: 'mcp',
    file: (place, scope) => {
      const folder = scope === 'project' ? place.project : path.join(dotConfig(place), 'opencode')
      const commented = path.join(folder, 'opencode.jsonc')
      return existsSync(commented) ? commented : path.join(folder, 'opencode.json')
    },
    entry: (launch) => {
      const variables = variablesOf(launch)
      const named = variables === undefined ? {} : { environment: variables }
      return { type: 'local', command: [launch.command, ...launch.args], enabled: true, ...named }
    }
  }
]

/** Whether the client seems to be in use here: its file is there, or the folder that file belongs into. */
export function isPresent(client: Client, place: Place): boolean {
  const file = client.file(place, 'user')
  if (file === undefined) return false
  // The home directory itself says nothing about who uses it.
  return existsSync(file) || (path.dirname(file) !== place.home && existsSync(path.dirname(file)))
}

function inHome(place: Place, name: string): string {
  return path.join(place.home, name)
}

function inProject(place: Place, name: string): string {
  return path.join(place.project, name)
}

function either(place: Place, scope: Scope, name: string): string {
  return scope === 'project' ? inProject(place, name) : inHome(place, name)
}

function userOnly(scope: Scope, file: string): string | undefined {
  return scope === 'user' ? file : undefined
}

function dotConfig({ home, env }: Place): string {
  const configured = env['XDG_CONFIG_HOME']
  return configured !== undefined && path.isAbsolute(configured) ? configured : path.join(home, '.config')
}

/** Where programs with windows keep their settings. */
function applications(place: Place): string {
  if (place.platform === 'darwin') return path.join(place.home, 'Library', 'Application Support')
  if (place.platform === 'win32') return place.env['APPDATA'] ?? path.join(place.home, 'AppData', 'Roaming')
  return dotConfig(place)
}
