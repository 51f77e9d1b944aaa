"""The methods: labelled data in, a common space out."""
