"""Names, versions and aliases: what a reference means."""
