import { Head } from "../ui/parts"

export function Tokens() {
  return <Head title="Tokens" />
}
