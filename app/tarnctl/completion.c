/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "app/tarnctl/ctl.h"

/* Scripts that ask "tarnctl __complete", so that they never are older than the server. */
static const char bash_script[] = "# bash completion for tarnctl\n"
				  "_tarnctl() {\n"
				  "\tlocal IFS=$'\\n'\n"
				  "\tCOMPREPLY=($(\"${COMP_WORDS[0]}\" __complete "
				  "\"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null))\n"
				  "}\n"
				  "complete -o default -F _tarnctl tarnctl\n";

static const char zsh_script[] =
    "#compdef tarnctl\n"
    "_tarnctl() {\n"
    "\tlocal -a candidates\n"
    "\tcandidates=(${(f)\"$(${words[1]} __complete ${(@)words[2,CURRENT]} 2>/dev/null)\"})\n"
    "\tif (( ${#candidates} )); then\n"
    "\t\tcompadd -a candidates\n"
    "\telse\n"
    "\t\t_files\n"
    "\tfi\n"
    "}\n"
    "compdef _tarnctl tarnctl\n";

static const char fish_script[] = "# fish completion for tarnctl\n"
				  "complete -c tarnctl -a '(tarnctl __complete (commandline "
				  "-opc)[2..-1] (commandline -ct) 2>/dev/null)'\n";

enum ctl_exit
ctl_completion(struct ctl *ctl, int argc, char **argv)
{
	static const struct {
		const char *shell, *script;
	} scripts[] = { { "bash", bash_script }, { "zsh", zsh_script }, { "fish", fish_script } };

	(void)ctl;
	for (size_t i = 0; argc == 2 && i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		if (strcmp(argv[1], scripts[i].shell) == 0) {
			fputs(scripts[i].script, stdout);
			return CTL_OK;
		}
	}
	return ctl_usage("usage: tarnctl completion bash|zsh|fish");
}
