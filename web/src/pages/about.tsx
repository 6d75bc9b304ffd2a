import { Head } from "../ui/parts"

export function About() {
  return <Head title="About" />
}
