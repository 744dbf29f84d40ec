"""Between a PACS and the model server: films in, answers back into the film's own study."""
